package director

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ipvsd/ipvsd/director/intent"
	"github.com/ipvsd/ipvsd/director/table"
)

const (
	maintenanceEvery = time.Second     // a look at the directory
	lookupAgain      = time.Minute     // a name's address is asked for again
	lookupLimit      = 2 * time.Second // one look-up
	maintenanceFirst = 3 * time.Second // the start waits so long for the first look
)

// maintained are the real servers for which there is a file in the maintenance
// directory, with its path. It is never changed.
type maintained map[intent.Key]string

// of is the path of the file that names a real server; "": none.
func (m maintained) of(p table.Pair) string {
	if len(m) == 0 {
		return ""
	}
	for _, k := range []intent.Key{{Real: p.Real}, {Real: netip.AddrPortFrom(p.Real.Addr(), 0), Machine: true}} {
		if path, ok := m[k]; ok {
			return path
		}
	}
	return ""
}

// maintenance looks at [director] maintenance_dir, where a file that is named
// for a real server takes it out on this director, as with ldirectord: its
// address, address:port, name or name:port, IPv6 in brackets. Its goroutine is
// that of run; it reads a directory that may hang, and asks a resolver that may
// be slow, so that the director's loop never does.
type maintenance struct {
	log    *slog.Logger
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)

	dir     atomic.Pointer[string]
	wake    chan struct{} // another dir
	now     atomic.Pointer[maintained]
	changed chan struct{} // capacity 1
	first   chan struct{} // closed after the first look
}

func newMaintenance(dir string, log *slog.Logger) *maintenance {
	m := &maintenance{
		log:     log,
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		first:   make(chan struct{}),
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
	}
	m.dir.Store(&dir)
	m.now.Store(&maintained{})
	return m
}

// set takes another directory; "" is none.
func (m *maintenance) set(dir string) {
	if dir != *m.dir.Load() {
		m.dir.Store(&dir)
		nudge(m.wake)
	}
}

// files are those of the last look.
func (m *maintenance) files() maintained { return *m.now.Load() }

// await waits for the first look, so that a start doesn't give traffic to a
// server in maintenance; not for ever.
func (m *maintenance) await(ctx context.Context) {
	if *m.dir.Load() == "" {
		return
	}
	limit := time.NewTimer(maintenanceFirst)
	defer limit.Stop()
	select {
	case <-m.first:
	case <-limit.C:
		m.log.Warn("maintenance_dir isn't read yet, the start goes on without it", "dir", *m.dir.Load())
	case <-ctx.Done():
	}
}

// host is a name in the directory that isn't an address.
type host struct {
	addrs []netip.Addr
	asked time.Time
	busy  bool
	told  bool // that it can't be found
}

type found struct {
	name  string
	addrs []netip.Addr
	err   error
}

// run looks until ctx ends.
func (m *maintenance) run(ctx context.Context) {
	tick := time.NewTicker(maintenanceEvery)
	defer tick.Stop()
	answers := make(chan found)
	hosts := map[string]*host{}
	var names []string
	failed := ""
	began := time.Now()
	look := true
	for {
		dir := *m.dir.Load()
		if look {
			got, err := readMaintenance(dir)
			switch {
			case err == nil:
				names, failed = got, ""
			case err.Error() != failed: // who is out stays out
				failed = err.Error()
				m.log.Warn("maintenance_dir can't be read, what was seen last stays", "err", err)
			}
		}
		asking := m.ask(ctx, names, hosts, answers)
		m.publish(dir, names, hosts)
		if !asking || time.Since(began) > lookupLimit {
			m.looked()
		}
		look = true
		again := tick.C
		if dir == "" {
			again = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-m.wake:
		case a := <-answers:
			look = false
			m.heard(hosts, a)
		}
	}
}

func (m *maintenance) looked() {
	select {
	case <-m.first:
	default:
		close(m.first)
	}
}

// ask has the names looked up that aren't addresses, each by itself, and says
// whether an answer is awaited. It forgets those without a file.
func (m *maintenance) ask(ctx context.Context, names []string, hosts map[string]*host, answers chan<- found) (waits bool) {
	here := map[string]bool{}
	for _, name := range names {
		key, isHost, ok := fileKey(name)
		if !ok || !isHost {
			continue
		}
		here[key.host] = true
		h := hosts[key.host]
		if h == nil {
			h = &host{}
			hosts[key.host] = h
		}
		if !h.busy && (h.asked.IsZero() || time.Since(h.asked) >= lookupAgain) {
			h.busy, h.asked = true, time.Now()
			go func() {
				limited, cancel := context.WithTimeout(ctx, lookupLimit)
				defer cancel()
				addrs, err := m.lookup(limited, key.host)
				select {
				case answers <- found{key.host, addrs, err}:
				case <-ctx.Done():
				}
			}()
		}
		waits = waits || h.busy
	}
	maps.DeleteFunc(hosts, func(name string, h *host) bool { return !here[name] && !h.busy })
	return waits
}

// heard keeps the last addresses of a name that can't be asked for now.
func (m *maintenance) heard(hosts map[string]*host, a found) {
	h := hosts[a.name]
	h.busy = false
	var dns *net.DNSError
	switch {
	case a.err == nil:
		h.addrs, h.told = a.addrs, false
		return
	case errors.As(a.err, &dns) && dns.IsNotFound:
		h.addrs = nil
	}
	if !h.told {
		h.told = true
		m.log.Warn("file in maintenance_dir names nobody", "name", a.name, "err", a.err)
	}
}

func (m *maintenance) publish(dir string, names []string, hosts map[string]*host) {
	addrs := func(name string) []netip.Addr {
		if h := hosts[name]; h != nil {
			return h.addrs
		}
		return nil
	}
	now := maintainedBy(dir, names, addrs)
	if maps.Equal(now, m.files()) {
		return
	}
	m.now.Store(&now)
	nudge(m.changed)
}

// readMaintenance lists the names in the directory. One that isn't there is
// empty, as nobody is in maintenance then.
func readMaintenance(dir string) ([]string, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// maintainedBy says whom the names mean; addrs are the addresses of a host.
func maintainedBy(dir string, names []string, addrs func(string) []netip.Addr) maintained {
	out := maintained{}
	for _, name := range names {
		key, isHost, ok := fileKey(name)
		if !ok {
			continue
		}
		path := filepath.Join(dir, name)
		if !isHost {
			out[key.of(key.addr)] = path
			continue
		}
		if addrs == nil {
			continue
		}
		for _, a := range addrs(key.host) {
			out[key.of(a.Unmap())] = path
		}
	}
	return out
}

// fileName is a name in the maintenance directory.
type fileName struct {
	addr    netip.Addr
	host    string
	port    uint16
	anyPort bool
}

func (f fileName) of(a netip.Addr) intent.Key {
	return intent.Key{Real: netip.AddrPortFrom(a, f.port), Machine: f.anyPort}
}

// fileKey reads a file's name. It is not ok where it can't be meant: a hidden
// file or an editor's.
func fileKey(name string) (f fileName, isHost, ok bool) {
	if name == "" || strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") {
		return f, false, false
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")); err == nil {
		return fileName{addr: a.Unmap(), anyPort: true}, false, true
	}
	if ap, err := netip.ParseAddrPort(name); err == nil {
		return fileName{addr: ap.Addr().Unmap(), port: ap.Port()}, false, true
	}
	f = fileName{host: name, anyPort: true}
	if h, text, cut := strings.Cut(name, ":"); cut {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || h == "" {
			return f, false, false
		}
		f = fileName{host: h, port: uint16(port)}
	}
	return f, true, true
}

// nudge wakes who waits for c, of capacity 1.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
