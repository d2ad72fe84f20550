package director

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/table"
)

func TestFileKey(t *testing.T) {
	for _, tt := range []struct {
		name, want string // "": means nobody
		host       bool
	}{
		{"10.0.0.1", "10.0.0.1", false},
		{"10.0.0.1:80", "10.0.0.1:80", false},
		{"[fd00::1]", "fd00::1", false},
		{"fd00::1", "fd00::1", false},
		{"[fd00::1]:80", "[fd00::1]:80", false},
		{"[::ffff:10.0.0.1]:80", "10.0.0.1:80", false},
		{"web1", "web1", true},
		{"web1.example.com:8080", "web1.example.com:8080", true},
		{"web1:http", "", false},
		{":80", "", false},
		{".keep", "", false},
		{"10.0.0.1~", "", false},
	} {
		key, host, ok := fileKey(tt.name)
		got := ""
		switch {
		case !ok:
		case host && key.anyPort:
			got = key.host
		case host:
			got = key.host + strings.TrimPrefix(netip.AddrPortFrom(netip.IPv4Unspecified(), key.port).String(), "0.0.0.0")
		default:
			got = key.of(key.addr).String()
		}
		if got != tt.want || host != tt.host {
			t.Errorf("%s: %q, host %v; want %q, %v", tt.name, got, host, tt.want, tt.host)
		}
	}
}

// names is a resolver that a test sets.
type names struct {
	mu    sync.Mutex
	addrs map[string]string
	fail  error
	asked int
}

func (n *names) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	time.Sleep(100 * time.Millisecond)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if n.fail != nil {
		return nil, n.fail
	}
	if a, ok := n.addrs[host]; ok {
		return []netip.Addr{netip.MustParseAddr(a)}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func TestMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "maintenance")
		touch := func(name string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		resolver := &names{addrs: map[string]string{"web2": "10.0.0.2"}}
		m := newMaintenance(dir, slog.New(slog.DiscardHandler))
		m.lookup = resolver.lookup
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { m.run(ctx); close(done) }()
		m.await(ctx)
		want := func(what string, want ...string) {
			t.Helper()
			time.Sleep(1200 * time.Millisecond)
			var got []string
			for _, real := range []string{"10.0.0.1:80", "10.0.0.1:443", "10.0.0.2:80"} {
				p := table.Pair{Service: table.ByMark(table.IPv4, 1), Real: netip.MustParseAddrPort(real)}
				if path := m.files().of(p); path != "" {
					got = append(got, real+" "+filepath.Base(path))
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		want("no directory")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		touch("10.0.0.1:443")
		touch(".hidden")
		want("a port", "10.0.0.1:443 10.0.0.1:443")
		select {
		case <-m.changed:
		default:
			t.Error("nobody is woken")
		}
		touch("10.0.0.1")
		touch("web2")
		touch("README")
		want("a machine and a name", "10.0.0.1:80 10.0.0.1", "10.0.0.1:443 10.0.0.1:443", "10.0.0.2:80 web2")
		resolver.mu.Lock()
		resolver.fail = errors.New("resolver is down")
		before := resolver.asked
		resolver.mu.Unlock()
		time.Sleep(10 * time.Minute)
		resolver.mu.Lock()
		if n := resolver.asked - before; n < 18 || n > 20 {
			t.Errorf("two names were looked up %d times in ten minutes", n)
		}
		resolver.mu.Unlock()
		want("the resolver is down", "10.0.0.1:80 10.0.0.1", "10.0.0.1:443 10.0.0.1:443", "10.0.0.2:80 web2")
		// One that can't be read lets nobody in.
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want("unreadable", "10.0.0.1:80 10.0.0.1", "10.0.0.1:443 10.0.0.1:443", "10.0.0.2:80 web2")
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		want("removed")
		m.set(dir + ".away")
		want("another directory", "10.0.0.1:80 10.0.0.1", "10.0.0.1:443 10.0.0.1:443")
		m.set("")
		want("off")
		cancel()
		<-done
	})
}
