package devices_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/devices"
)

func TestByToken(t *testing.T) {
	list := []devices.Listed{
		{Account: "acme", Device: "pump", Token: "secret"},
		{Account: "acme", Device: "pump", Token: "next secret"},
		{Account: "bolt", Device: "pump", Token: "pump"},
		{Device: "meter", Token: strings.Repeat("t", devices.MaxToken)},
	}
	long := strings.Repeat("n", devices.MaxName)
	tests := []struct {
		name    string
		mode    devices.Mode
		token   string
		account string
		device  string
		err     error
	}{
		{"listed", devices.Token, "secret", "acme", "pump", nil},
		{"second token", devices.Token, "next secret", "acme", "pump", nil},
		{"no account", devices.Token, strings.Repeat("t", devices.MaxToken), devices.DefaultAccount, "meter", nil},
		{"unknown", devices.Token, "secres", "", "", devices.ErrUnknown},
		{"empty", devices.Token, "", "", "", devices.ErrUnknown},
		{"a name is no token", devices.Token, "meter", "", "", devices.ErrUnknown},
		{"start of a token", devices.Token, "secre", "", "", devices.ErrUnknown},
		{"token and a zero", devices.Token, "secret\x00", "", "", devices.ErrUnknown},
		{"longer than any", devices.Token, strings.Repeat("t", devices.MaxToken+1), "", "", devices.ErrUnknown},
		{"not UTF-8", devices.Token, "\xff", "", "", devices.ErrUnknown},

		{"open: any name", devices.Open, "anybody", devices.DefaultAccount, "anybody", nil},
		{"open: listed token", devices.Open, "secret", "acme", "pump", nil},
		{"open: a listed token is no name", devices.Open, "pump", "bolt", "pump", nil},
		{"open: name of a listed device", devices.Open, "meter", devices.DefaultAccount, "meter", nil},
		{"open: spaces and letters", devices.Open, " Zähler 7/+#", devices.DefaultAccount, " Zähler 7/+#", nil},
		{"open: longest", devices.Open, long, devices.DefaultAccount, long, nil},
		{"open: too long", devices.Open, long + "n", "", "", devices.ErrName},
		{"open: empty", devices.Open, "", "", "", devices.ErrName},
		{"open: not UTF-8", devices.Open, "\xff", "", "", devices.ErrName},
		{"open: control character", devices.Open, "a\nb", "", "", devices.ErrName},
		{"open: C1 control character", devices.Open, "a\u0085b", "", "", devices.ErrName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := devices.New(&devices.Config{Mode: tt.mode, List: list})
			require.NoError(t, err)
			dev, err := d.ByToken(tt.token)
			require.ErrorIs(t, err, tt.err)
			if tt.err != nil {
				require.Nil(t, dev)
				return
			}
			require.Equal(t, devices.Device{Account: tt.account, Name: tt.device}, *dev)
			again, err := d.ByToken(tt.token)
			require.NoError(t, err)
			require.Same(t, dev, again)
			require.True(t, d.Known(dev))
			require.False(t, d.Known(&devices.Device{Account: tt.account, Name: tt.device}), "only the shared pointer is known")
		})
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name string
		cfg  devices.Config
		want string
	}{
		{"mode", devices.Config{Mode: 9}, "devices.auth is mode 9: expected token or open"},
		{"no device", devices.Config{List: []devices.Listed{{Token: "t"}}}, "devices.list[0].device is no name"},
		{"long device", devices.Config{List: []devices.Listed{{Device: strings.Repeat("n", 513), Token: "t"}}}, "devices.list[0].device is no name"},
		{"bad account", devices.Config{List: []devices.Listed{{Account: "a\x00", Device: "d", Token: "t"}}}, "devices.list[0].account is no name"},
		{"no token", devices.Config{List: []devices.Listed{{Device: "d"}}}, "devices.list[0].token has 0 bytes: expected 1 to 512"},
		{"long token", devices.Config{List: []devices.Listed{{Device: "d", Token: strings.Repeat("secret", 100)}}}, "devices.list[0].token has 600 bytes"},
		{"one token twice", devices.Config{List: []devices.Listed{
			{Device: "a", Token: "secret"}, {Device: "b", Token: "other"}, {Device: "c", Token: "secret"},
		}}, "devices.list[2].token is also list[0]'s"},
		{"the same line twice", devices.Config{List: []devices.Listed{
			{Device: "a", Token: "secret"}, {Device: "a", Token: "secret"},
		}}, "devices.list[1].token is also list[0]'s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := devices.New(&tt.cfg)
			require.Nil(t, d)
			var f *devices.Fault
			require.ErrorAs(t, err, &f)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "secret", "no token is told")
		})
	}
	_, err := devices.New(&devices.Config{List: []devices.Listed{{}, {}}})
	require.Equal(t, 4, strings.Count(err.Error(), "devices.list"), "all faults at once")
}

func TestReload(t *testing.T) {
	d, err := devices.New(&devices.Config{List: []devices.Listed{
		{Account: "acme", Device: "pump", Token: "one"},
		{Account: "acme", Device: "valve", Token: "two"},
	}})
	require.NoError(t, err)
	pump, valve := found(t, d, "one"), found(t, d, "two")

	require.NoError(t, d.Reload([]devices.Listed{{Account: "acme", Device: "pump", Token: "three"}}))
	require.Same(t, pump, found(t, d, "three"), "a device that stays is the same")
	require.True(t, d.Known(pump))
	for _, gone := range []string{"one", "two"} {
		_, err := d.ByToken(gone)
		require.ErrorIs(t, err, devices.ErrUnknown)
	}
	require.False(t, d.Known(valve), "a session of a removed device can tell")
	require.False(t, d.Known(nil))
	require.Equal(t, devices.Stats{Listed: 1}, d.Stats())

	require.Error(t, d.Reload([]devices.Listed{{Device: "new", Token: "new"}, {Token: "bad"}}))
	require.Same(t, pump, found(t, d, "three"), "a bad list leaves the old in force")
	_, err = d.ByToken("new")
	require.ErrorIs(t, err, devices.ErrUnknown)
}

func TestOpenIsBounded(t *testing.T) {
	const most = 3000 // past the first two growths of the table
	d, err := devices.New(&devices.Config{Mode: devices.Open, MaxOpen: most, List: []devices.Listed{{Device: "listed", Token: "secret"}}})
	require.NoError(t, err)
	first := found(t, d, "device 0")
	for i := range most {
		found(t, d, fmt.Sprint("device ", i))
	}
	_, err = d.ByToken("one more")
	require.ErrorIs(t, err, devices.ErrFull)
	_, err = d.ByToken("")
	require.ErrorIs(t, err, devices.ErrName, "a bad name is bad, full or not")
	require.Equal(t, devices.Stats{Listed: 1, Open: most}, d.Stats())
	for i := range most {
		require.Equal(t, fmt.Sprint("device ", i), found(t, d, fmt.Sprint("device ", i)).Name)
	}
	require.Same(t, first, found(t, d, "device 0"), "a device is one pointer for good")
	require.Equal(t, "listed", found(t, d, "secret").Name, "listed devices go on")
	require.Equal(t, "listed", found(t, d, "listed").Name, "by their name too")
	require.Equal(t, most, d.Stats().Open)
}

func TestOpenAndListedAreOneDevice(t *testing.T) {
	d, err := devices.New(&devices.Config{Mode: devices.Open})
	require.NoError(t, err)
	pump := found(t, d, "pump")
	require.NoError(t, d.Reload([]devices.Listed{{Device: "pump", Token: "secret"}, {Account: "acme", Device: "pump", Token: "other"}}))
	require.Same(t, pump, found(t, d, "secret"))
	require.Same(t, pump, found(t, d, "pump"))
	require.NotSame(t, pump, found(t, d, "other"))

	acme := found(t, d, "other")
	require.NoError(t, d.Reload(nil))
	require.True(t, d.Known(pump), "its name still makes it one")
	require.False(t, d.Known(acme))
	require.Equal(t, "secret", found(t, d, "secret").Name, "a token no longer listed is a name like any other")
}

func TestNothingOfABufferIsKept(t *testing.T) {
	d, err := devices.New(&devices.Config{Mode: devices.Open})
	require.NoError(t, err)
	buf := []byte("pump")
	dev := found(t, d, alias(buf))
	copy(buf, "XXXX")
	require.Equal(t, "pump", dev.Name)
	require.Same(t, dev, found(t, d, "pump"))

	copy(buf, "list")
	require.NoError(t, d.Reload([]devices.Listed{{Account: alias(buf), Device: alias(buf), Token: alias(buf)}}))
	copy(buf, "XXXX")
	require.Equal(t, devices.Device{Account: "list", Name: "list"}, *found(t, d, "list"))
}

func TestByTokenAllocatesNothing(t *testing.T) {
	list := []devices.Listed{{Account: "acme", Device: "pump", Token: "secret"}}
	for _, mode := range []devices.Mode{devices.Token, devices.Open} {
		d, err := devices.New(&devices.Config{Mode: mode, List: list, MaxOpen: 1})
		require.NoError(t, err)
		dev, err := d.ByToken("secret")
		require.NoError(t, err)
		_, err = d.ByToken("the one open")
		require.Equal(t, mode == devices.Token, errors.Is(err, devices.ErrUnknown))
		for _, token := range []string{"secret", "the one open", "unknown", "", strings.Repeat("x", 600)} {
			buf := []byte(token)
			require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = d.ByToken(alias(buf)) }), "%v %q", mode, token)
		}
		require.Zero(t, testing.AllocsPerRun(100, func() { d.Known(dev) }))
	}
}

// TestManyAtOnce lets many ask for the same new names while the list is swapped:
// each name is one device.
func TestManyAtOnce(t *testing.T) {
	const names, askers = 3000, 8
	d, err := devices.New(&devices.Config{Mode: devices.Open, MaxOpen: names})
	require.NoError(t, err)
	var got [askers][names]*devices.Device
	var wg sync.WaitGroup
	failed := make(chan error, 2*askers)
	for a := range askers {
		wg.Go(func() {
			for i := range names {
				n := (i + a) % names
				dev, err := d.ByToken(fmt.Sprint("n", n))
				if err != nil {
					failed <- err
					return
				}
				got[a][n] = dev
				if !d.Known(dev) {
					failed <- errors.New(dev.Name + " is not known")
					return
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 200 {
			list := []devices.Listed{{Device: fmt.Sprint("listed ", i%7), Token: fmt.Sprint("secret ", i)}}
			if err := d.Reload(list); err != nil {
				failed <- err
				return
			}
			if dev, err := d.ByToken(list[0].Token); err != nil || dev.Name != list[0].Device {
				failed <- fmt.Errorf("the token of the list in force is %v's, %w", dev, err)
				return
			}
			d.Stats()
		}
	})
	wg.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	for n := range names {
		for a := range askers {
			require.Same(t, got[0][n], got[a][n])
		}
	}
	require.Equal(t, names, d.Stats().Open)
}

func TestModes(t *testing.T) {
	for _, m := range []devices.Mode{devices.Token, devices.Open} {
		got, err := devices.ParseMode(m.String())
		require.NoError(t, err)
		require.Equal(t, m, got)
	}
	_, err := devices.ParseMode("unknown")
	require.ErrorIs(t, err, devices.ErrMode)
	require.Equal(t, "unknown", devices.Mode(9).String())
}

func FuzzByToken(f *testing.F) {
	for _, s := range []string{"", "secret", "a", "\xff", "a\x00", "é", strings.Repeat("n", 512), strings.Repeat("n", 513)} {
		f.Add(s)
	}
	token, err := devices.New(&devices.Config{List: []devices.Listed{{Device: "pump", Token: "secret"}}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, s string) {
		if dev, err := token.ByToken(s); (err == nil) != (s == "secret") || (dev == nil) != (err != nil) {
			t.Fatalf("%q is %v's, %v", s, dev, err)
		}
		open, err := devices.New(&devices.Config{Mode: devices.Open})
		if err != nil {
			t.Fatal(err)
		}
		dev, err := open.ByToken(s)
		if err != nil {
			if !errors.Is(err, devices.ErrName) || open.Stats().Open != 0 {
				t.Fatalf("%q: %v, and %d devices", s, err, open.Stats().Open)
			}
			return
		}
		if *dev != (devices.Device{Account: devices.DefaultAccount, Name: s}) || !utf8.ValidString(s) || !open.Known(dev) {
			t.Fatalf("%q became %+v", s, dev)
		}
	})
}

func found(t *testing.T, d *devices.Directory, token string) *devices.Device {
	t.Helper()
	dev, err := d.ByToken(token)
	require.NoError(t, err)
	return dev
}
