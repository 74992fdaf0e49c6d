package devices

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// firstSlots is how many slots an open starts with; a power of two.
const firstSlots = 1 << 10

// open is the devices of the open mode: a hash table with linear probing, at
// most half full, to which devices are only ever added. So a reader needs no
// lock: a slot it has seen filled stays, and one that looks empty sends it to
// add, which looks again under the Directory's lock.
type open struct {
	seed  maphash.Seed // random, so that nobody can choose names that collide
	most  int
	count atomic.Int64
	slots atomic.Pointer[[]atomic.Pointer[Device]] // a power of two of them
}

func newOpen(most int) *open {
	if most <= 0 {
		most = DefaultMaxOpen
	}
	o := &open{seed: maphash.MakeSeed(), most: most}
	slots := make([]atomic.Pointer[Device], firstSlots)
	o.slots.Store(&slots)
	return o
}

// full tells whether no more devices are taken. If so, a find that begins after
// it sees every device.
func (o *open) full() bool { return int(o.count.Load()) >= o.most }

// find is the device of a name; nil if it is not known. It takes no lock and
// allocates nothing.
func (o *open) find(name string) *Device {
	dev, _ := o.probe(*o.slots.Load(), name)
	return dev
}

// probe is the device of a name, or nil and the slot where it would be. At most
// half of the slots are filled, so there is one.
func (o *open) probe(slots []atomic.Pointer[Device], name string) (*Device, *atomic.Pointer[Device]) {
	mask := uint64(len(slots) - 1)
	for i := maphash.String(o.seed, name) & mask; ; i = (i + 1) & mask {
		dev := slots[i].Load()
		if dev == nil {
			return nil, &slots[i]
		}
		if dev.Name == name {
			return dev, nil
		}
	}
}

// add makes name a device, unless it is one: then it is that. ErrFull if there
// are most already. The caller holds the Directory's lock, and name is good.
func (o *open) add(name string) (*Device, error) {
	slots := *o.slots.Load()
	dev, slot := o.probe(slots, name)
	if dev != nil {
		return dev, nil
	}
	if o.full() {
		return nil, ErrFull
	}
	if n := int(o.count.Load()); 2*(n+1) > len(slots) {
		_, slot = o.probe(o.grow(slots), name)
	}
	dev = &Device{Account: DefaultAccount, Name: strings.Clone(name)}
	slot.Store(dev)
	o.count.Add(1)
	return dev, nil
}

// grow doubles the slots. Who still reads the old ones misses only what is
// added after.
func (o *open) grow(old []atomic.Pointer[Device]) []atomic.Pointer[Device] {
	slots := make([]atomic.Pointer[Device], 2*len(old))
	for i := range old {
		if dev := old[i].Load(); dev != nil {
			_, slot := o.probe(slots, dev.Name)
			slot.Store(dev)
		}
	}
	o.slots.Store(&slots)
	return slots
}
