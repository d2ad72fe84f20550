package director_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/table"
)

const pathFile = `
[check]
path = "vip"
[[virtual]]
name = "web"
address = "192.168.0.105:80"
scheduler = "rr"
real = [{ address = "192.168.0.101" }, { address = "192.168.0.102" }]
`

func pathConfig(t *testing.T, file string) *config.Config {
	t.Helper()
	cfg, _, err := config.Parse("ipvsd.toml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// apply brings a kernel to what Preview says, and returns the steps.
func apply(t *testing.T, kernel *kerneltest.Kernel, cfg *config.Config, owned map[table.ServiceKey]bool) []string {
	t.Helper()
	have, err := kernel.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var steps []table.Step
	var text []string
	for _, p := range director.Preview(cfg, have, nil, nil, owned) {
		steps = append(steps, p.Step)
		text = append(text, p.Step.String())
	}
	if err := errors.Join(kernel.Do(t.Context(), steps)...); err != nil {
		t.Fatal(err)
	}
	return text
}

// TestCheckPath: a check may go where the kernel's table takes its mark to its
// real server alone.
func TestCheckPath(t *testing.T) {
	cfg := pathConfig(t, pathFile)
	kernel := kerneltest.New()
	path := director.CheckPath(kernel)
	one, two := cfg.Virtuals[0].Reals[0].Check, cfg.Virtuals[0].Reals[1].Check
	if err := path(t.Context(), one); err == nil || !strings.Contains(err.Error(), "lacks fwmark") {
		t.Errorf("an empty table: %v", err)
	}
	apply(t, kernel, cfg, nil)
	for _, s := range []checker.Spec{one, two} {
		if err := path(t.Context(), s); err != nil {
			t.Error(err)
		}
	}
	service := table.Service{ServiceKey: table.ByMark(table.IPv4, one.Mark)}
	do := func(op table.Op, real table.Real) {
		t.Helper()
		if err := errors.Join(kernel.Do(t.Context(), []table.Step{{Op: op, Service: service, Real: real}})...); err != nil {
			t.Fatal(err)
		}
	}
	do(table.AddReal, table.Real{Addr: two.Via, Forward: table.DR, Weight: 1})
	if err := path(t.Context(), one); err == nil || !strings.Contains(err.Error(), "leads to 192.168.0.102") {
		t.Errorf("two real servers: %v", err)
	}
	do(table.EditReal, table.Real{Addr: two.Via, Forward: table.DR})
	if err := path(t.Context(), one); err != nil {
		t.Errorf("the other one has no weight: %v", err)
	}
	do(table.EditReal, table.Real{Addr: one.Via, Forward: table.DR})
	if err := path(t.Context(), one); err == nil {
		t.Error("it has no weight itself")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := path(ctx, two); err == nil {
		t.Error("the table wasn't read")
	}
}

// TestCheckServicesLeave: with path direct they go at once, whatever connections
// the checks left in the kernel; others' marks stay.
func TestCheckServicesLeave(t *testing.T) {
	cfg := pathConfig(t, pathFile)
	kernel := kerneltest.New()
	if steps := apply(t, kernel, cfg, nil); len(steps) != 7 {
		t.Errorf("want three services and four real servers: %q", steps)
	}
	if again := apply(t, kernel, cfg, nil); again != nil {
		t.Errorf("a second time: %q", again)
	}
	owned := map[table.ServiceKey]bool{}
	for key, e := range kernel.State() {
		owned[key] = true
		for addr := range e.Reals {
			kernel.Count(table.Pair{Service: key, Real: addr}, table.Counters{Active: 1})
		}
	}
	foreign := table.Service{ServiceKey: table.ByMark(table.IPv4, cfg.Director.CheckMarks+1), Scheduler: "rr"}
	kernel.Do(t.Context(), []table.Step{{Op: table.AddService, Service: foreign.Normal()}})

	steps := apply(t, kernel, pathConfig(t, strings.Replace(pathFile, `"vip"`, `"direct"`, 1)), owned)
	if len(steps) != 2 || slices.ContainsFunc(steps, func(s string) bool { return !strings.HasPrefix(s, "-D -f ") }) {
		t.Errorf("want the two services for checks to go: %q", steps)
	}
	if _, ok := kernel.State()[foreign.ServiceKey]; !ok {
		t.Error("another's service by a mark is gone")
	}
}

// TestCheckSysctls: which interfaces take answers from an address of this host.
func TestCheckSysctls(t *testing.T) {
	host := director.Host{KernelMajor: 6, Answers: []director.AnswerLink{{Interface: "eth0"}, {Interface: "eth1.7", Strict: true}}}
	var got []string
	for _, s := range director.Sysctls(pathConfig(t, pathFile), host) {
		if strings.Contains(s.Path, "/conf/") {
			got = append(got, s.Path+"="+s.Value)
		}
	}
	want := []string{"net/ipv4/conf/eth0/accept_local=1", "net/ipv4/conf/eth1.7/accept_local=1", "net/ipv4/conf/eth1.7/rp_filter=2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAnswerLinks: nothing is asked for checks that go to the real server, and
// nothing of the loopback.
func TestAnswerLinks(t *testing.T) {
	for _, file := range []string{
		strings.Replace(pathFile, `"vip"`, `"direct"`, 1),
		strings.NewReplacer("192.168.0.101", "127.0.0.1", "192.168.0.102", "127.0.0.2").Replace(pathFile),
		strings.Replace(pathFile, `scheduler = "rr"`, "forward = \"nat\"", 1),
	} {
		if links, complete := director.ReadAnswerLinks(t.TempDir(), pathConfig(t, file)); len(links) > 0 || !complete {
			t.Errorf("%v, complete %v for\n%s", links, complete, file)
		}
	}
}
