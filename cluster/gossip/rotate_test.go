package gossip

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// keyed starts directors with a key file each, which holds the lines.
func keyed(r *rig, lines ...string) (nodes []*node, files []string) {
	r.t.Helper()
	for i := range r.peer {
		path := filepath.Join(r.t.TempDir(), "cluster.key")
		mustWrite(r.t, path, strings.Join(lines, "\n"))
		files = append(files, path)
		nodes = append(nodes, startKeyed(r, i, path))
	}
	r.within(3*time.Second, "all joined", func() bool { return complete(nodes...) })
	return nodes, files
}

func startKeyed(r *rig, i int, path string) *node {
	r.t.Helper()
	keys, _, err := ReadKeyFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.start(i, func(o *Options) { o.Keys, o.KeyFile = keys, path })
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustRotate(t *testing.T, n *node, anew bool) Rotation {
	t.Helper()
	a, err := n.Rotate(context.Background(), anew)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// rotated checks that all files and rings have that one key and no other.
func rotated(t *testing.T, nodes []*node, files []string, key string) {
	t.Helper()
	for i, n := range nodes {
		f, warnings, err := readKeyFile(files[i])
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v, %v", n.opts.Name, err, warnings)
		}
		if len(f.keys) != 1 || f.keys[0].String() != key || f.next != "" {
			t.Errorf("%s: the file has %v, next %q, want %s", n.opts.Name, f.keys, f.next, key)
		}
		if got := fmt.Sprint(n.Keyring().Keys()); got != "["+key+"]" {
			t.Errorf("%s: the ring has %s, want %s", n.opts.Name, got, key)
		}
	}
}

func TestRotate(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		old := GenerateKey()
		nodes, files := keyed(r, "# of the web cluster", old)
		var wg sync.WaitGroup
		done := make(chan struct{})
		sent, got := make([]int, len(nodes)), make([]int, len(nodes))
		for i, n := range nodes {
			wg.Go(func() {
				for ticks := time.NewTicker(5 * time.Millisecond); ; sent[i]++ {
					select {
					case <-done:
						ticks.Stop()
						return
					case <-ticks.C:
					}
					if err := n.Broadcast([]byte("x")); err != nil {
						t.Error(err)
					}
					got[i] += len(n.drain())
				}
			})
		}
		a := mustRotate(t, nodes[1], false)
		time.Sleep(time.Second)
		close(done)
		wg.Wait()
		time.Sleep(100 * time.Millisecond)
		all := 0
		for i, n := range nodes {
			got[i] += len(n.drain())
			all += sent[i]
		}
		for i := range nodes {
			if want := all - sent[i]; got[i] != want || want < 500 {
				t.Errorf("lb%d got %d of %d messages", i+1, got[i], want)
			}
		}
		if !a.Done || a.Stands != "" || len(a.Steps) != 12 {
			t.Errorf("%+v", a)
		}
		rotated(t, nodes, files, a.Key)
		for i, n := range nodes {
			if len(n.Problems()) > 0 {
				t.Error(n.Problems())
			}
			b, err := os.ReadFile(files[i])
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(b)), "\n")
			if len(lines) != 2 || lines[0] != "# of the web cluster" || lines[1] == old {
				t.Errorf("the file has %d lines, the comment %q", len(lines), lines[0])
			}
			if log := n.log.String(); strings.Contains(log, lines[1]) || strings.Contains(log, old) {
				t.Error("a key is in the log")
			}
			contains(t, n.log.String(), "step=install", "step=use", "step=drop key="+a.Key+" asked_by=lb2")
		}
		// A director that is started again has the new key.
		nodes[2].crash()
		again := startKeyed(r, 2, files[2])
		r.within(5*time.Second, "joined with the new key", func() bool { return complete(nodes[0], nodes[1], again) })
	})
}

func TestRotateMissing(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		nodes, files := keyed(r, GenerateKey())
		before := fmt.Sprint(nodes[0].Keyring().Keys())
		nodes[2].crash()
		a := mustRotate(t, nodes[0], false) // gossip takes it for alive
		contains(t, a.Stands, "Nothing was changed: lb3 doesn't answer.")
		r.within(5*time.Second, "known dead", func() bool { return nodes[0].see("lb3").State == Dead })
		a = mustRotate(t, nodes[0], false)
		contains(t, a.Stands, "Nothing was changed: lb3 is dead.", "Run it again")
		if a.Done || fmt.Sprint(nodes[0].Keyring().Keys()) != before {
			t.Errorf("%+v", a)
		}
		if f, _, err := readKeyFile(files[0]); err != nil || len(f.keys) != 1 || f.next != "" {
			t.Error(f, err)
		}
	})
}

// Whatever step stops, to run it again ends it, with the same key, and on any
// director that has it.
func TestRotateGoesOn(t *testing.T) {
	eight := many(maxKeys)
	for _, tc := range []struct {
		name   string
		lines  []string
		cut    time.Duration // when lb3 is cut off; 0: not
		stands string
		mend   func(t *testing.T, files []string, nodes []*node)
		again  int
	}{
		{"install", eight, 0, "Not every director has the new key", func(t *testing.T, files []string, nodes []*node) {
			f, _, err := readKeyFile(files[2])
			if err != nil {
				t.Fatal(err)
			}
			f.keys = f.keys[:1]
			if err := f.write(files[2]); err != nil {
				t.Fatal(err)
			}
			if _, err := nodes[2].Keyring().Load(files[2]); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"drop", eight[:1], 500 * time.Millisecond, "not every one has dropped the old key yet: lb3 doesn't answer.", nil, 1},
		{"drop, by lb3", eight[:1], 500 * time.Millisecond, "", nil, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inRig(t, 3, func(r *rig) {
				nodes, files := keyed(r, tc.lines[0])
				if len(tc.lines) > 1 { // only lb3 has too many
					mustWrite(t, files[2], strings.Join(tc.lines, "\n"))
					if _, err := nodes[2].Keyring().Load(files[2]); err != nil {
						t.Fatal(err)
					}
				}
				if tc.cut > 0 {
					time.AfterFunc(tc.cut, func() { r.net.Partition(side(nodes[:2]...), side(nodes[2])) })
				}
				first := mustRotate(t, nodes[0], false)
				if first.Done || first.Key == "" {
					t.Fatalf("%+v", first)
				}
				contains(t, first.Stands, tc.stands, "un it again to go on")
				r.net.Heal()
				if tc.mend != nil {
					tc.mend(t, files, nodes)
				}
				r.within(10*time.Second, "together", func() bool { return complete(nodes...) })
				second := mustRotate(t, nodes[tc.again], false)
				if !second.Done || second.Key != first.Key {
					t.Errorf("first %+v, then %+v", first, second)
				}
				rotated(t, nodes, files, first.Key)
			})
		})
	}
}

// Two rotations that were begun apart: neither drops the key that the other
// needs, and a third ends both.
func TestRotateAnew(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		nodes, files := keyed(r, GenerateKey())
		stray := newKey()
		if err := nodes[1].rotation.install(stray, false, "test"); err != nil {
			t.Fatal(err)
		}
		a := mustRotate(t, nodes[0], false)
		contains(t, a.Stands, "didn't reach this director. Run it on lb2, or `ipvsd cluster rotate --anew` here.")
		if err := nodes[0].rotation.install(newKey(), false, "test"); err != nil {
			t.Fatal(err)
		}
		a = mustRotate(t, nodes[0], false)
		contains(t, a.Stands, "two rotations have begun")
		for i, n := range nodes {
			if err := n.rotation.install(newKey(), false, "test"); err == nil {
				t.Errorf("lb%d began a second rotation", i+1)
			}
		}
		a = mustRotate(t, nodes[0], true)
		if !a.Done {
			t.Fatalf("%+v", a)
		}
		rotated(t, nodes, files, a.Key)
		for _, do := range []func(string, string) error{nodes[1].rotation.use, nodes[1].rotation.drop} {
			if err := do(stray.String(), "late"); err == nil {
				t.Error("a rotation that was given up went on")
			}
		}
		rotated(t, nodes, files, a.Key)
	})
}

// What a rotation may not touch.
func TestRotateRefused(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		nodes, files := keyed(r, GenerateKey())
		mustWrite(t, files[1], GenerateKey()) // edited, not loaded
		a := mustRotate(t, nodes[0], false)
		contains(t, a.Stands, "Nothing was changed: lb2: ", "holds other keys than those in use; reload the director")
		if err := os.Remove(files[1]); err != nil {
			t.Fatal(err)
		}
		a = mustRotate(t, nodes[1], false)
		contains(t, a.Stands, "no such key file")
		k := newKey()
		if err := nodes[0].rotation.use(k.String(), "test"); err == nil {
			t.Error("used a key that isn't installed")
		}
		if err := nodes[0].rotation.install(k, false, "test"); err != nil {
			t.Fatal(err)
		}
		if err := nodes[0].rotation.drop(k.String(), "test"); err == nil || !strings.Contains(err.Error(), "doesn't encrypt here yet") {
			t.Errorf("dropped the key that encrypts: %v", err)
		}
	})
	inRig(t, 2, func(r *rig) {
		nodes := r.startAll()
		contains(t, mustRotate(t, nodes[0], false).Stands, "set [cluster] key_file")
	})
}

// Directors on one machine may share their file, as in a test.
func TestRotateSharedFile(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		path := filepath.Join(t.TempDir(), "cluster.key")
		mustWrite(t, path, GenerateKey())
		var nodes []*node
		for i := range r.peer {
			nodes = append(nodes, startKeyed(r, i, path))
		}
		r.within(3*time.Second, "all joined", func() bool { return complete(nodes...) })
		a := mustRotate(t, nodes[0], false)
		if !a.Done {
			t.Fatalf("%+v", a)
		}
		rotated(t, nodes, []string{path, path, path}, a.Key)
	})
}

func TestSeal(t *testing.T) {
	var r [3]*rotation
	for i := range r {
		var err error
		if r[i], err = newRotation(nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	k := newKey()
	b, err := r[0].seal(r[1].own.PublicKey(), k, true)
	if err != nil {
		t.Fatal(err)
	}
	if got, anew, err := r[1].open(b); err != nil || got != k || !anew {
		t.Error(got, anew, err)
	}
	if _, _, err := r[2].open(b); err == nil {
		t.Error("another process opened it")
	}
	b[len(b)-1]++
	if _, _, err := r[1].open(b); err == nil {
		t.Error("opened what was changed")
	}
	if strings.Contains(string(b), string(k[:])) {
		t.Error("the key is in clear")
	}
}

func FuzzStand(f *testing.F) {
	r, err := newRotation(nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	s := stand{keys: []string{"0a0b0c0d"}, next: "0a0b0c0d", to: r.own.PublicKey()}
	f.Add(s.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeStand(b)
		if err != nil {
			return
		}
		again, err := decodeStand(s.encode())
		if err != nil || fmt.Sprint(again.keys, again.next) != fmt.Sprint(s.keys, s.next) || !again.to.Equal(s.to) {
			t.Errorf("%+v, %+v, %v", s, again, err)
		}
	})
}
