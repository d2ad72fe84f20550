package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// TestClusterRotate changes the key while a client asks: nobody moves, nothing
// fails, and each director has the new key in a file of its own.
func TestClusterRotate(t *testing.T) {
	c := newCluster(t, 2)
	shared := c.key
	text, err := os.ReadFile(shared)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	own := func(i int) string {
		return strings.Replace(c.file(i, witnessed), shared, files[i], 1)
	}
	for _, l := range c.lbs {
		files = append(files, filepath.Join(l.dir, "cluster.key"))
		if err := os.WriteFile(files[len(files)-1], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.startWith(own)
	load := c.client.Load("http://192.168.0.105/")
	out, code := tryOn(t, c.lbs[1].host, "cluster", "rotate", "--socket", c.lbs[1].socket())
	t.Logf("%s", out)
	if code != 0 || !strings.Contains(out, "all directors use the new key") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	time.Sleep(2 * time.Second)
	noneFailed(t, load.Stop())
	c.oneHolder("loadb1")
	first, second := mustRead(t, files[0]), mustRead(t, files[1])
	if first != second || first == string(text) || strings.Count(first, "\n") != 1 {
		t.Errorf("the key files have %d and %d bytes, alike: %v, new: %v", len(first), len(second), first == second, first != string(text))
	}
	for _, l := range c.lbs {
		for _, secret := range []string{first, string(text)} {
			if strings.Contains(l.proc.Output(), strings.TrimSpace(secret)) || strings.Contains(out, strings.TrimSpace(secret)) {
				t.Errorf("%s shows a key", l.name)
			}
		}
	}
	// With a director missing nothing is changed.
	c.lbs[0].proc.Kill()
	out, code = tryOn(t, c.lbs[1].host, "cluster", "rotate", "--socket", c.lbs[1].socket())
	if code != 1 || !strings.Contains(out, "Nothing was changed: loadb1") || mustRead(t, files[1]) != second {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestClusterFewerReals cuts the active director from a web server that the
// standby still reaches: the addresses go to the standby, and the status says
// why; with preempt they come back once that is mended.
func TestClusterFewerReals(t *testing.T) {
	c := newCluster(t, 2)
	const track = `
preempt = true
[[cluster.track]]
fewer_reals = 1
interval = "500ms"
`
	c.startAll(witnessed + track)
	a := c.lbs[0].host
	a.Run("iptables", "-I", "INPUT", "-s", "192.168.0.102", "-j", "DROP")
	lab.Eventually(t, 20*time.Second, "loadb1 says why its priority is lower", func() bool {
		for _, l := range c.lbs {
			found := false
			for _, m := range l.status().Cluster.Members {
				found = found || m.Name == "loadb1" && strings.Contains(m.Faults, "on loadb2 (priority -20)")
			}
			if !found {
				return false
			}
		}
		return true
	})
	lab.Eventually(t, 20*time.Second, "loadb2 has the address", c.lbs[1].hasVIP)
	c.oneHolder("loadb2")
	a.Run("iptables", "-F")
	lab.Eventually(t, 30*time.Second, "loadb1 has it back", c.lbs[0].hasVIP)
	c.oneHolder("loadb1")
	s := c.lbs[0].status().Cluster
	if last := s.Groups[0].Last; last == nil || last.From != "loadb2" {
		t.Errorf("the last failover: %+v", last)
	}
}
