package cloud

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ipvsd/ipvsd/deploy/cloud/standin"
)

// shop is a cloud of each kind with two machines, seen from the first.
type shop struct {
	kind     standin.Kind
	script   string
	settings string
	address  string
	machines []string
	ask      string // how the API is asked who has the address …
	move     string // … and for the move
}

// noDirector is where none listens.
const noDirector = "http=127.0.0.1:1\n"

var shops = []shop{
	{
		standin.AWS, "move-elastic-ip", "allocation=eipalloc-0a\n" + noDirector, "eipalloc-0a",
		[]string{"eni-01", "eni-02"},
		"DescribeAddresses", "AssociateAddress",
	},
	{
		standin.DigitalOcean, "move-reserved-ip", "provider=digitalocean\naddress=203.0.113.5\ntoken=" + standin.Token + "\n" + noDirector,
		"203.0.113.5",
		[]string{"101", "102"},
		"GET /v2/reserved_ips/203.0.113.5", "POST /v2/reserved_ips/203.0.113.5/actions",
	},
	{
		standin.Hetzner, "move-reserved-ip", "provider=hetzner\naddress=4711\ntoken=" + standin.Token + "\n" + noDirector,
		"4711",
		[]string{"42", "43"},
		"GET /v1/floating_ips/4711", "POST /v1/floating_ips/4711/actions/assign",
	},
}

// open starts the cloud; its second machine has the address.
func (s shop) open(t *testing.T) (c *standin.Cloud, run func(settings string, env ...string) (string, int)) {
	t.Helper()
	c = standin.New(s.kind, s.address, "203.0.113.5", s.machines, nil)
	c.Give(s.machines[1])
	api := httptest.NewServer(c.API())
	t.Cleanup(api.Close)
	metadata := httptest.NewServer(c.Metadata(func(*http.Request) string { return s.machines[0] }))
	t.Cleanup(metadata.Close)
	return c, func(settings string, env ...string) (string, int) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "settings")
		if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		return s.run(t, file, append(env, "EC2_ENDPOINT="+api.URL, "API_ENDPOINT="+api.URL, "METADATA_ENDPOINT="+metadata.URL)...)
	}
}

func (s shop) run(t *testing.T, file string, env ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "./"+s.script, file)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// Each way in which an API fails, and what a hook makes of it: done, to be tried
// again, or not worth another try. Whatever came first, the next run ends well.
func TestMove(t *testing.T) {
	for _, s := range shops {
		for _, tt := range []struct {
			name  string
			fail  []standin.Fault
			code  int
			say   string
			moved bool   // by this run
			asked string // a for a question, m for the move
		}{
			{"well", nil, 0, "moved ", true, "ama"},
			{"throttled", []standin.Fault{standin.Throttled}, 1, "exceeded", false, "a"},
			{"broken", []standin.Fault{standin.Broken}, 1, "status 500", false, "a"},
			{"hangs", []standin.Fault{standin.Hangs}, 1, "timed out", false, "a"},
			{"denied", []standin.Fault{standin.Denied}, 2, "You", false, "a"},
			{"lost on the way", []standin.Fault{standin.None, standin.Lost}, 1, "Empty reply", true, "am"},
			{"done late", []standin.Fault{standin.None, standin.Late}, 0, "moved ", true, "amaaa"},
		} {
			t.Run(string(s.kind)+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				c, run := s.open(t)
				c.Fail(tt.fail...)
				out, code := run(s.settings)
				if code != tt.code || !strings.Contains(out, tt.say) || strings.Count(out, "\n") != 1 {
					t.Errorf("exit status %d, want %d and a line with %q:\n%s", code, tt.code, tt.say, out)
				}
				if got := c.Holder() == s.machines[0]; got != tt.moved {
					t.Errorf("moved: %v", got)
				}
				want := []string{}
				for _, r := range tt.asked {
					want = append(want, map[rune]string{'a': s.ask, 'm': s.move}[r])
				}
				if got := c.Asked(); !slices.Equal(got, want) {
					t.Errorf("asked %q, want %q", got, want)
				}
				out, code = run(s.settings)
				if code != 0 || c.Holder() != s.machines[0] {
					t.Errorf("the next run: exit status %d, %s has it:\n%s", code, c.Holder(), out)
				}
				for _, b := range c.Bad() {
					t.Errorf("a bad request: %s", b)
				}
			})
		}
	}
}

// A second run does nothing, and one for another group of addresses neither.
func TestIdle(t *testing.T) {
	for _, s := range shops {
		t.Run(string(s.kind), func(t *testing.T) {
			t.Parallel()
			c, run := s.open(t)
			if out, code := run(s.settings, "IPVSD_GROUP=mail"); code != 0 || out != "" || len(c.Asked()) > 0 {
				t.Errorf("group mail: exit status %d, asked %q:\n%s", code, c.Asked(), out)
			}
			c.Give(s.machines[0])
			if out, code := run(s.settings, "IPVSD_GROUP=default"); code != 0 || !strings.Contains(out, "here already") {
				t.Errorf("here already: exit status %d\n%s", code, out)
			}
			if got := c.Asked(); !slices.Equal(got, []string{s.ask}) {
				t.Errorf("asked %q", got)
			}
			if out, code := run(s.settings+"group=mail\n", "IPVSD_GROUP=mail"); code != 0 || !strings.Contains(out, "here already") {
				t.Errorf("its own group: exit status %d\n%s", code, out)
			}
		})
	}
}

// A run that comes to its move when the role is another director's again leaves
// the address where it is.
func TestNotActive(t *testing.T) {
	for _, s := range shops {
		t.Run(string(s.kind), func(t *testing.T) {
			t.Parallel()
			c, run := s.open(t)
			var status atomic.Int32
			director := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/active" {
					t.Errorf("asked for %s", r.URL)
				}
				w.WriteHeader(int(status.Load()))
			}))
			defer director.Close()
			settings := s.settings + "http=" + strings.TrimPrefix(director.URL, "http://") + "\n"
			status.Store(503)
			if out, code := run(settings); code != 1 || !strings.Contains(out, "isn't active") || c.Holder() != s.machines[1] {
				t.Errorf("standby: exit status %d, %s has it:\n%s", code, c.Holder(), out)
			}
			status.Store(200)
			if out, code := run(settings); code != 0 || c.Holder() != s.machines[0] {
				t.Errorf("active: exit status %d, %s has it:\n%s", code, c.Holder(), out)
			}
		})
	}
}

// Settings that can't work say so, and the secret is in no message.
func TestSettings(t *testing.T) {
	for _, s := range shops {
		t.Run(string(s.kind), func(t *testing.T) {
			t.Parallel()
			c, run := s.open(t)
			bad := []string{"", strings.Replace(s.settings, s.address, "99", 1)}
			if s.kind == standin.AWS {
				bad = append(bad, s.settings+"key="+standin.Key+"\n", s.settings+"key="+standin.Key+"\nsecret=wrong\n")
			} else {
				bad = append(bad, "provider=other\n"+strings.TrimPrefix(s.settings, "provider="+string(s.kind)+"\n"),
					strings.Replace(s.settings, standin.Token, "dop_v1_wrong", 1))
			}
			for _, settings := range bad {
				out, code := run(settings)
				if code != 2 || strings.Count(out, "\n") != 1 {
					t.Errorf("%q: exit status %d\n%s", settings, code, out)
				}
				for _, secret := range []string{standin.Token, standin.Secret, standin.Session, "wrong"} {
					if strings.Contains(out, secret) {
						t.Errorf("%q: a secret is shown:\n%s", settings, out)
					}
				}
			}
			if c.Holder() != s.machines[1] {
				t.Error("it was moved all the same")
			}
			file := filepath.Join(t.TempDir(), "settings")
			for _, mode := range []os.FileMode{0o644, 0o660, 0o604} {
				if err := os.WriteFile(file, []byte(s.settings), mode); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(file, mode); err != nil {
					t.Fatal(err)
				}
				if out, code := s.run(t, file); code != 2 || !strings.Contains(out, "chmod 640") {
					t.Errorf("mode %o: exit status %d\n%s", mode, code, out)
				}
			}
			if out, code := s.run(t, file+"x"); code != 2 || !strings.Contains(out, "can't be read") {
				t.Errorf("no file: exit status %d\n%s", code, out)
			}
		})
	}
}

// With a key in the file the role isn't asked for.
func TestKeyInFile(t *testing.T) {
	c, run := shops[0].open(t)
	if out, code := run(shops[0].settings + "key=" + standin.Key + "\nsecret=" + standin.Secret + "\n"); code != 0 || c.Holder() != "eni-01" {
		t.Errorf("exit status %d, %s has it, %q:\n%s", code, c.Holder(), c.Bad(), out)
	}
}

// TestShellcheck holds the scripts to what shellcheck (deploy/deps) says.
func TestShellcheck(t *testing.T) {
	scripts := []string{"move-elastic-ip", "move-reserved-ip"}
	for _, lab := range []string{"apt", "scp", "systemctl"} {
		scripts = append(scripts, "../../test/scenario/testdata/tutorial/"+lab)
	}
	out, err := exec.CommandContext(t.Context(), "shellcheck", scripts...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, bytes.TrimSpace(out))
	}
}
