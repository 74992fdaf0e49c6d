package quota

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// MinSavedWindow is the shortest window that Save writes: a shorter one is over
// by the time that anybody would notice.
const MinSavedWindow = time.Hour

// ErrSaved says that what Load was given is no whole file of Save's.
var ErrSaved = errors.New("not a whole file of saved quota counters; delete it to start with none")

// A saved file is a header, an entry for each live window, one whose key is
// zero, and a checksum of all that, big-endian:
//
//	header: 8 bytes savedMagic, the last two the version of the format
//	entry:  key 16, start (Unix ms) 8, admitted 4, flags 4: 1 unverified, 2 refusing
//	end:    32 zero bytes, CRC-32C 4
const (
	savedMagic = "WEIRQT\x00\x01"
	savedEntry = 32

	savedUnverified = 1
	savedRefusing   = 2
)

// maxSaved is more than Save ever writes, and what Load keeps in memory at most.
const maxSaved int64 = (numBudgets*MaxMaxHosts + 2) * savedEntry

func savedSum() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

// Save writes the live windows to w if they last MinSavedWindow or longer, none
// if they are shorter or the quota is off; the report's counters are not
// written. It may be called at any time: windows are written as they are when
// their segment's turn comes. An error is w's.
func (h *Hosts) Save(w io.Writer) error {
	sum := savedSum()
	b := bufio.NewWriter(io.MultiWriter(w, sum))
	_, _ = b.WriteString(savedMagic) // b keeps its first error for Flush
	if p := h.Policy(); p != nil && p.Window >= MinSavedWindow {
		var entries []byte
		for i := range h.table.segments {
			c := cursor{h.table, &h.table.segments[i]}
			entries = c.save(entries[:0], h.now(), p)
			_, _ = b.Write(entries)
		}
	}
	_, _ = b.Write(make([]byte, savedEntry))
	if err := b.Flush(); err != nil {
		return err
	}
	_, err := w.Write(sum.Sum(nil))
	return err
}

// save appends the entries of c's live windows.
func (c cursor) save(to []byte, now int64, p *Policy) []byte {
	c.segment.mu.Lock()
	defer c.segment.mu.Unlock()
	for b := range c.size() {
		for i := range bucketSlots {
			e := c.at(place{b, i})
			tag := e.tag.Load()
			if tag == 0 {
				continue
			}
			if w := c.window(e, now); w.live(now, p.millis()) {
				to = appendSaved(to, c.key(tag), e.budget(), w)
			}
		}
	}
	return to
}

func appendSaved(to []byte, k Key, b budget, w window) []byte {
	flags := uint32(0)
	if b == unverified {
		flags |= savedUnverified
	}
	if w.refusing {
		flags |= savedRefusing
	}
	to = binary.BigEndian.AppendUint64(to, k.hi)
	to = binary.BigEndian.AppendUint64(to, k.lo)
	to = binary.BigEndian.AppendUint64(to, uint64(w.start))
	to = binary.BigEndian.AppendUint32(to, w.used)
	return binary.BigEndian.AppendUint32(to, flags)
}

func readSaved(entry []byte) (k Key, b budget, w window) {
	k = Key{binary.BigEndian.Uint64(entry), binary.BigEndian.Uint64(entry[8:])}
	w.start = int64(binary.BigEndian.Uint64(entry[16:]))
	w.used = binary.BigEndian.Uint32(entry[24:])
	flags := binary.BigEndian.Uint32(entry[28:])
	w.refusing = flags&savedRefusing != 0
	if flags&savedUnverified != 0 {
		b = unverified
	}
	return k, b, w
}

// Load adds what Save wrote to the windows, and is how many it took: not those
// that are over, nor those for whom there is no room without another's going,
// nor any while the quota is off. A window that began meanwhile keeps what it
// admitted on top. With an error nothing is loaded: it is ErrSaved for a file
// that is torn, altered or another's, else r's. A file that can be sought is
// read twice; another is kept in memory while it is read.
func (h *Hosts) Load(r io.Reader) (int, error) {
	file, err := seekable(r)
	if err != nil {
		return 0, err
	}
	start, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if err := eachSaved(file, func(Key, budget, window) {}); err != nil {
		return 0, err
	}
	if _, err := file.Seek(start, io.SeekStart); err != nil {
		return 0, err
	}
	loaded := 0
	err = eachSaved(file, func(k Key, b budget, w window) {
		if h.restore(k, b, w) {
			loaded++
		}
	})
	return loaded, err
}

func seekable(r io.Reader) (io.ReadSeeker, error) {
	if s, ok := r.(io.ReadSeeker); ok {
		return s, nil
	}
	all, err := io.ReadAll(io.LimitReader(r, maxSaved))
	return bytes.NewReader(all), err
}

// eachSaved calls do with each entry; ErrSaved if it then finds that they were
// not all, or not as they were written.
func eachSaved(r io.Reader, do func(Key, budget, window)) error {
	b, sum := bufio.NewReaderSize(r, 1<<16), savedSum()
	next := func(n int) ([]byte, error) {
		var buf [savedEntry]byte
		_, err := io.ReadFull(b, buf[:n])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: it ends too early", ErrSaved)
		}
		return buf[:n], err
	}
	head, err := next(len(savedMagic))
	if err != nil {
		return err
	}
	if string(head) != savedMagic {
		return fmt.Errorf("%w: it begins otherwise", ErrSaved)
	}
	sum.Write(head)
	for end := false; !end; {
		entry, err := next(savedEntry)
		if err != nil {
			return err
		}
		sum.Write(entry)
		k, budget, w := readSaved(entry)
		if end = k == (Key{}); !end {
			do(k, budget, w)
		}
	}
	if got, err := next(crc32.Size); err != nil {
		return err
	} else if binary.BigEndian.Uint32(got) != sum.Sum32() {
		return fmt.Errorf("%w: its checksum is wrong", ErrSaved)
	}
	return nil
}

// restore adds w to k's window; false if it is over or there is no room.
func (h *Hosts) restore(k Key, b budget, w window) bool {
	st, now := h.settings.Load(), h.now()
	w.start = min(w.start, now)
	if st.policy == nil || !w.live(now, st.length) {
		return false
	}
	r := h.request(st, k, h.table.tagOf(k, b), arrival{now: now})
	r.most = idle
	c := h.in(&r)
	c.segment.mu.Lock()
	defer c.segment.mu.Unlock()
	e := h.claim(&r)
	if !e.ok() {
		return false
	}
	e.see(max(w.start, lastSeen(e.seen.Load())), 0)
	for {
		v := e.state.Load()
		sum := w
		if o := c.unpack(v, e, now); o.live(now, st.length) {
			sum.used = uint32(min(uint64(w.used)+uint64(o.used), math.MaxUint32))
			sum.refusing = o.refusing
		}
		if c.swap(e, v, sum) { // which leaves the requests since the report as they are
			return true
		}
	}
}
