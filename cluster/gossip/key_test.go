package gossip

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWrongKey(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		a, b := r.start(0, nil), r.start(1, nil)
		c := r.start(2, func(o *Options) { o.Keys = []Key{{9}} })
		defer r.adverts(a, b, c)()
		r.within(2*time.Second, "told", func() bool {
			return a.problem("key") != "" && b.problem("key") != "" && c.problem("key") != ""
		})
		contains(t, a.problem("key"), "the director at 10.0.0.3:7946 uses another key", "key_file")
		if !complete(a, b) || a.see("lb3").Name != "" {
			t.Errorf("members %v", a.states())
		}
		time.Sleep(30 * time.Second)
		if n := strings.Count(a.log.String(), "msg=\"cluster problem\""); n != 1 {
			t.Errorf("told %d times", n)
		}
		if n := strings.Count(a.log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings", n)
		}
		for _, k := range a.Keyring().Keys() {
			if err := c.Keyring().Install(k); err != nil {
				t.Fatal(err)
			}
			if err := c.Keyring().Use(k); err != nil {
				t.Fatal(err)
			}
		}
		r.within(2*time.Second, "joined", func() bool { return complete(a, b, c) })
		r.within(30*time.Second, "solved", func() bool { return len(a.Problems())+len(b.Problems())+len(c.Problems()) == 0 })
	})
}

func TestNoKeyAgainstKey(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a := r.start(0, nil)
		b := r.start(1, func(o *Options) { o.Keys, o.Insecure = nil, true })
		r.within(3*time.Second, "told", func() bool { return a.problem("key") != "" && b.problem("key") != "" })
		contains(t, a.problem("key"), "10.0.0.2:7946", "only one encrypts")
		contains(t, b.problem("key"), "10.0.0.1:7946", "only one encrypts")
	})
}

func TestWithoutKeys(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		insecure := func(o *Options) { o.Keys, o.Insecure = nil, true }
		a, b := r.start(0, insecure), r.start(1, insecure)
		r.within(2*time.Second, "joined", func() bool { return complete(a, b) })
		for _, err := range []error{a.Keyring().Install(Key{1}), a.Keyring().Remove(Key{1}), a.Keyring().Set(nil)} {
			if err == nil {
				t.Error("changed the keys of a cluster without")
			}
		}
	})
}

// Each step of a rotation at each director, at different times, while messages
// flow: none is lost.
func TestRotation(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		nodes := r.startAll()
		var wg sync.WaitGroup
		done := make(chan struct{})
		sent := make([]int, len(nodes))
		for i, n := range nodes {
			wg.Go(func() {
				for ; ; sent[i]++ {
					select {
					case <-done:
						return
					case <-time.After(5 * time.Millisecond):
					}
					if err := n.Broadcast(fmt.Appendf(nil, "%d", sent[i])); err != nil {
						t.Error(err)
					}
				}
			})
		}
		got := make([]map[string]bool, len(nodes))
		var readers sync.WaitGroup
		end := make(chan struct{})
		for i, n := range nodes {
			got[i] = map[string]bool{}
			readers.Go(func() {
				for {
					select {
					case m := <-n.Received():
						got[i][m.From+" "+string(m.Payload)] = true
					case <-end:
						return
					}
				}
			})
		}
		old, next := r.keys[0], Key{2}
		for _, step := range []struct {
			name string
			do   func(*Keyring) error
			keys []string
		}{
			{"install", func(k *Keyring) error { return k.Install(next) }, []string{old.String(), next.String()}},
			{"use", func(k *Keyring) error { return k.Use(next) }, []string{next.String(), old.String()}},
			{"remove", func(k *Keyring) error { return k.Remove(old) }, []string{next.String()}},
		} {
			for _, n := range nodes {
				if err := step.do(n.Keyring()); err != nil {
					t.Fatal(step.name, err)
				}
				time.Sleep(300 * time.Millisecond)
			}
			r.within(3*time.Second, step.name+" known everywhere", func() bool {
				for _, n := range nodes {
					for _, m := range n.Members() {
						if !slices.Equal(m.Keys, step.keys) {
							return false
						}
					}
				}
				return true
			})
		}
		close(done)
		wg.Wait()
		time.Sleep(100 * time.Millisecond)
		close(end)
		readers.Wait()
		for i, n := range nodes {
			want := 0
			for j := range nodes {
				if j != i {
					want += sent[j]
				}
			}
			if len(got[i]) != want || want < 1000 {
				t.Errorf("%s got %d of %d messages", n.opts.Name, len(got[i]), want)
			}
			if p := n.Problems(); len(p) > 0 {
				t.Error(p)
			}
			if err := n.Keyring().Remove(next); err == nil {
				t.Error("removed the only key")
			}
			if err := n.Keyring().Use(old); err == nil {
				t.Error("used a key that isn't there")
			}
		}
		if !complete(nodes...) {
			t.Error("somebody got lost")
		}
	})
}

func TestKeyringSet(t *testing.T) {
	changes := 0
	r, err := newKeyring([]Key{{1}, {2}, {3}, {4}}, func() { changes++ })
	if err != nil {
		t.Fatal(err)
	}
	raw := r.ring.GetKeys()
	before := slices.Clone(raw)
	for _, want := range [][]Key{{{1}, {3}, {4}}, {{4}, {5}}, {{6}}} {
		if err := r.Set(want); err != nil {
			t.Fatal(err)
		}
		got := r.Keys()
		slices.SortFunc(got[1:], func(a, b Key) int { return int(a[0]) - int(b[0]) })
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if changes != 3 {
		t.Errorf("%d changes told", changes)
	}
	for i := range raw {
		if &raw[i][0] != &before[i][0] {
			t.Error("a change reached into the keys that a packet is being decrypted with")
		}
	}
	if err := r.Set(nil); err == nil {
		t.Error("turned encryption off")
	}
}

func TestReadKeyFile(t *testing.T) {
	a, b := GenerateKey(), GenerateKey()
	for _, tc := range []struct {
		name, text string
		mode       os.FileMode
		keys       int
		warn, err  string
	}{
		{"one", a + "\n", 0o600, 1, "", ""},
		{"no newline, comment, blanks", "# new\n" + a + "\r\n\n  " + b, 0o600, 2, "", ""},
		{"readable", a, 0o644, 1, "others than its owner may use it (mode 0644); chmod 600 FILE", ""},
		{"group", a, 0o640, 1, "mode 0640", ""},
		{"twice", a + "\n" + a, 0o600, 1, "FILE:2: the same key again", ""},
		{"empty", "# nothing\n", 0o600, 0, "", "FILE: no key in it; write one with `ipvsd cluster keygen`"},
		{"not base64", a + "\nsecret!\n", 0o600, 0, "", "FILE:2: not base64; a key is 32 random bytes in base64: write one with `ipvsd cluster keygen`"},
		{"short", "c2hvcnQ=", 0o600, 0, "", "FILE:1: 5 bytes instead of 32; "},
		{"zeros", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0o600, 0, "", "FILE:1: all zeros"},
		{"too many", strings.Join(many(maxKeys+1), "\n"), 0o600, 0, "", "FILE:9: more than 8 keys"},
		{"long", strings.Repeat("#", maxKeyFile+1), 0o600, 0, "", "too long for a key file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cluster.key")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			keys, warnings, err := ReadKeyFile(path)
			if len(keys) != tc.keys {
				t.Errorf("%d keys, want %d", len(keys), tc.keys)
			}
			check := func(what, got, want string) {
				got = strings.ReplaceAll(got, path, "FILE")
				if want == "" && got != "" || !strings.Contains(got, want) {
					t.Errorf("%s %q, want %q", what, got, want)
				}
				for line := range strings.Lines(tc.text) {
					if line = strings.TrimSpace(line); line != "" && strings.Contains(got, line) {
						t.Errorf("%s quotes the file", what)
					}
				}
			}
			check("warning", strings.Join(warnings, "\n"), tc.warn)
			check("error", fmt.Sprint(errText(err)), tc.err)
		})
	}
	if _, _, err := ReadKeyFile("/nonexistent/key"); err == nil || !strings.Contains(err.Error(), "keygen") {
		t.Error(err)
	}
	if _, _, err := ReadKeyFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Error(err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func many(n int) []string {
	var s []string
	for range n {
		s = append(s, GenerateKey())
	}
	return s
}

// A key never reaches a log by accident.
func TestKeyPrintsAsFingerprint(t *testing.T) {
	text := GenerateKey()
	k, err := ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%s", "%d", "%x", "%#v", "%+v", "%q"} {
		if got := fmt.Sprintf(verb, k); got != k.String() {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}
