package quota_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

func TestAFloodOfNewDevicesFillsNoMemoryAndFreesNobody(t *testing.T) {
	c := newClock()
	e, err := quota.NewEngine(&quota.EngineConfig{Clock: c, MaxKeys: 64 * 20, Policies: []quota.PolicyConfig{
		{Name: "d", Level: quota.LevelDevice, Buckets: aMinute(2)},
	}})
	require.NoError(t, err)
	require.Equal(t, 2, through(e, request("refused", quota.Total), 3))
	for i := range 20_000 {
		charge(e, request(strconv.Itoa(i), quota.Total))
	}
	st := e.Stats()
	require.LessOrEqual(t, st.Keys, 64*21)
	require.Greater(t, st.Evicted, uint64(10_000))
	require.Equal(t, 0, through(e, request("refused", quota.Total), 3), "who is refused stays so")
	c.move(minute)
	e.Sweep()
	require.Zero(t, e.Stats().Keys)
	require.Equal(t, 2, through(e, request("refused", quota.Total), 3))
}

func TestWhereAllAreBeingRefusedNewDevicesShareOneBudget(t *testing.T) {
	e, err := quota.NewEngine(&quota.EngineConfig{Clock: newClock(), MaxKeys: 64 * 4, Policies: []quota.PolicyConfig{
		{Name: "d", Level: quota.LevelDevice, Buckets: aMinute(2)},
	}})
	require.NoError(t, err)
	for i := range 5000 {
		through(e, request("old"+strconv.Itoa(i), quota.Total), 3)
	}
	admitted := 0
	for i := range 1000 {
		admitted += through(e, request("new"+strconv.Itoa(i), quota.Total), 2)
	}
	require.LessOrEqual(t, admitted, 2*64, "a budget for each part of the table")
	require.Greater(t, e.Stats().Overflowed, uint64(1000))
}

func TestAHitAllocatesNothing(t *testing.T) {
	var all []quota.PolicyConfig
	for kind, name := range map[quota.Kind]string{quota.KindFixed: "f", quota.KindClock: "c", quota.KindSliding: "s", quota.KindToken: "t"} {
		all = append(all, quota.PolicyConfig{Name: name, Kind: kind, Level: quota.LevelDevice, Buckets: []quota.Bucket{
			{Quota: 1000, Window: minute}, {Quota: 5000, Window: time.Hour},
		}})
	}
	all = append(all, quota.PolicyConfig{Name: "x", Level: quota.LevelCustom, Key: "topic", Buckets: aMinute(500)},
		quota.PolicyConfig{Name: "h", Level: quota.LevelHost, Buckets: aMinute(5000)})
	e := engineOf(t, newClock(), all...)
	r, out := request("pump", quota.Messages), &quota.Result{}
	e.Charge(r, out)
	require.Len(t, out.Limits, 10)
	require.Zero(t, testing.AllocsPerRun(2000, func() { e.Charge(r, out) }), "admitted, then refused")
	require.NotNil(t, out.Refusal())
}

// storm is a hundred thousand ticks by eight senders through reloads, sweeps and
// lookups.
func TestAStormOfDevicesLosesNoTick(t *testing.T) {
	const senders, ticks, devices = 8, 12_500, 50
	c := newClock()
	policies := func(slack uint32) *quota.EngineConfig {
		return &quota.EngineConfig{Clock: c, Policies: []quota.PolicyConfig{
			{Name: "device", Level: quota.LevelDevice, Kind: quota.KindSliding, Buckets: []quota.Bucket{{Quota: 500, Window: minute}, {Quota: 1 << 20, Window: time.Hour}}},
			{Name: "system", Level: quota.LevelSystem, Kind: quota.KindToken, Buckets: []quota.Bucket{{Quota: 20_000, Window: 24 * time.Hour}}},
			{Name: "account", Level: quota.LevelAccount, Kind: quota.KindClock, Buckets: []quota.Bucket{{Quota: 1<<20 + slack, Window: 24 * time.Hour}}},
		}}
	}
	e, err := quota.NewEngine(policies(0))
	require.NoError(t, err)
	var admitted [devices]atomic.Int64
	stop := make(chan struct{})
	var side, all sync.WaitGroup
	side.Go(func() {
		for i := uint32(0); ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = e.Reload(policies(i % 7))
				e.Sweep()
				e.TellRecovered()
				e.Stats()
				e.Lookup(request("0", quota.Total), &quota.Result{})
			}
		}
	})
	for s := range senders {
		all.Go(func() {
			var out quota.Result
			for i := range ticks {
				d := (i*7 + s*13) % devices
				e.Charge(request(strconv.Itoa(d), quota.Messages), &out)
				if out.Refusal() == nil {
					admitted[d].Add(1)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	side.Wait()
	sum := int64(0)
	for d := range admitted {
		n := admitted[d].Load()
		sum += n
		require.LessOrEqual(t, n, int64(500))
	}
	require.Equal(t, int64(20_000), sum, "the system's bucket was spent to the last token")
	var out quota.Result
	e.Lookup(request("0", quota.Messages), &out)
	require.Equal(t, uint32(admitted[0].Load()), out.Limits[0].Used)
	require.Equal(t, uint32(sum), out.Limits[3].Used, "no tick of the account was lost")
}

func TestRunForgetsAndTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		e, err := quota.NewEngine(&quota.EngineConfig{OnTransition: d.tell, Policies: []quota.PolicyConfig{
			{Name: "d", Level: quota.LevelDevice, Buckets: []quota.Bucket{{Quota: 1, Window: time.Second}}},
		}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		through(e, request("pump", quota.Total), 2)
		require.NoError(t, e.Run(ctx))
		require.Zero(t, e.Stats().Keys)
		require.Len(t, d.all(), 2)
		require.LessOrEqual(t, d.all()[1].At.Sub(d.all()[0].At), 2*time.Second)
	})
}
