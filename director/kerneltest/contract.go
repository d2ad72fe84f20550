package kerneltest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ipvsd/ipvsd/director/table"
)

// Subject is what the contract is about: a kernel's IPVS table. ReadState is
// Read of everything without the counters, and its answer must not be changed.
type Subject interface {
	Read(ctx context.Context, only ...table.ServiceKey) (table.Have, error)
	ReadState(ctx context.Context) (table.State, error)
	Do(ctx context.Context, steps []table.Step) []error
}

// uncommon are schedulers that Linux has and distributions leave out: Debian
// 12 doesn't build twos. A kernel without one has to say so.
var uncommon = []string{"twos"}

// Contract tests a kernel. newKernel gives an empty one.
func Contract(t *testing.T, newKernel func(t *testing.T) Subject) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, k Subject)
	}{
		{"empty", testEmpty},
		{"schedulers", testSchedulers},
		{"services", testServices},
		{"editing a service", testEditService},
		{"real servers", testReals},
		{"editing a real server", testEditReal},
		{"weights", testWeights},
		{"deleting", testDelete},
		{"missing and existing", testExist},
		{"invalid", testInvalid},
		{"a failure stops nothing", testGoesOn},
		{"partial read", testPartialRead},
		{"big tables", testBig},
		{"foreign services", testForeign},
		{"counters of the unused", testCounters},
		{"ended context", testEnded},
		{"apply twice", testTwice},
		{"answers stay", testAnswersStay},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newKernel(t)) })
	}
}

// The addresses of the contract are those of documentation (RFC 5737, RFC
// 3849) and belong to nobody, the machine of the test included.
var (
	web4  = table.ByAddr(table.TCP, netip.MustParseAddrPort("192.0.2.10:80"))
	web6  = table.ByAddr(table.TCP, netip.MustParseAddrPort("[2001:db8::10]:80"))
	mark4 = table.ByMark(table.IPv4, 7)
	mark6 = table.ByMark(table.IPv6, 7)
)

// keys are one service of each kind that IPVS has.
func keys() []table.ServiceKey {
	ks := []table.ServiceKey{mark4, mark6, table.ByMark(table.IPv4, math.MaxUint32)}
	for _, p := range []table.Protocol{table.TCP, table.UDP, table.SCTP} {
		ks = append(ks, table.ByAddr(p, web4.Addr), table.ByAddr(p, web6.Addr))
	}
	return ks
}

func service(k table.ServiceKey, change ...func(*table.Service)) table.Service {
	s := table.Service{ServiceKey: k, Scheduler: "rr"}
	for _, c := range change {
		c(&s)
	}
	return s.Normal()
}

// real is a server that fits the service: the last byte tells it from others.
func real(k table.ServiceKey, last byte, change ...func(*table.Real)) table.Real {
	a := netip.AddrFrom4([4]byte{198, 51, 100, last})
	if k.Family == table.IPv6 {
		b := netip.MustParseAddr("2001:db8:1::").As16()
		b[15] = last
		a = netip.AddrFrom16(b)
	}
	r := table.Real{Addr: netip.AddrPortFrom(a, k.Addr.Port()), Forward: table.DR, Weight: 1}
	for _, c := range change {
		c(&r)
	}
	return r.Normal()
}

func entry(s table.Service, reals ...table.Real) table.Entry {
	e := table.Entry{Service: s, Reals: map[netip.AddrPort]table.Real{}}
	for _, r := range reals {
		e.Reals[r.Addr] = r
	}
	return e
}

func state(es ...table.Entry) table.State {
	st := table.State{}
	for _, e := range es {
		st[e.Service.ServiceKey] = e
	}
	return st
}

// add are the steps that build the state from nothing.
func add(st table.State) []table.Step {
	return table.Plan(nil, st, func(table.ServiceKey) bool { return false })
}

func step(op table.Op, s table.Service, r ...table.Real) table.Step {
	st := table.Step{Op: op, Service: s}
	if len(r) > 0 {
		st.Real = r[0]
	}
	return st
}

func mustDo(t *testing.T, k Subject, steps ...table.Step) {
	t.Helper()
	errs := k.Do(t.Context(), steps)
	if len(errs) != len(steps) {
		t.Fatalf("%d error slots for %d steps", len(errs), len(steps))
	}
	for i, err := range errs {
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

func mustRead(t *testing.T, k Subject, only ...table.ServiceKey) table.Have {
	t.Helper()
	have, err := k.Read(t.Context(), only...)
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// mustHold reads the whole table and compares it, and that each entry has its
// counters.
func mustHold(t *testing.T, k Subject, want table.State) {
	t.Helper()
	mustEqual(t, mustRead(t, k), want)
	st, err := k.ReadState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := Diff(want, st); d != "" {
		t.Fatalf("the state alone (-want +got):\n%s", d)
	}
}

func mustEqual(t *testing.T, have table.Have, want table.State) {
	t.Helper()
	if d := Diff(want, have.State); d != "" {
		t.Fatalf("the table (-want +got):\n%s", d)
	}
	if len(have.Services) != len(want) {
		t.Errorf("counters of %d services, want %d", len(have.Services), len(want))
	}
	if len(have.Reals) != want.Reals() {
		t.Errorf("counters of %d real servers, want %d", len(have.Reals), want.Reals())
	}
	for k, e := range want {
		if _, ok := have.Services[k]; !ok {
			t.Errorf("no counters of %s", k)
		}
		for a := range e.Reals {
			if _, ok := have.Reals[table.Pair{Service: k, Real: a}]; !ok {
				t.Errorf("no counters of %s in %s", a, k)
			}
		}
	}
}

// Diff is go-cmp's diff of two states, "" where they are the same.
func Diff(want, got table.State) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.AddrPort{}))
}

// mustFail does one step that has to fail with the error, and to change
// nothing.
func mustFail(t *testing.T, k Subject, s table.Step, want error) {
	t.Helper()
	before := mustRead(t, k).State
	if errs := k.Do(t.Context(), []table.Step{s}); !errors.Is(errs[0], want) {
		t.Errorf("%s: got error %v, want %v", s, errs[0], want)
	}
	if d := Diff(before, mustRead(t, k).State); d != "" {
		t.Errorf("%s failed and changed the table (-before +after):\n%s", s, d)
	}
}

func testEmpty(t *testing.T, k Subject) {
	mustHold(t, k, nil)
	for i, errs := range [][]error{k.Do(t.Context(), nil), k.Do(t.Context(), []table.Step{})} {
		if len(errs) != 0 {
			t.Errorf("%d: errors of no steps: %v", i, errs)
		}
	}
}

func testEnded(t *testing.T, k Subject) {
	s := step(table.AddService, service(web4))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("read: got error %v, want %v", err, context.Canceled)
	}
	if _, err := k.ReadState(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("read the state: got error %v, want %v", err, context.Canceled)
	}
	errs := k.Do(ctx, []table.Step{s, s})
	for _, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("do: got error %v, want %v", err, context.Canceled)
		}
	}
	mustHold(t, k, nil)
}

// testBig has answers that span many messages: many services, and one service
// with many real servers.
func testBig(t *testing.T, k Subject) {
	want := table.State{}
	for i := range 700 {
		key := table.ByAddr(table.UDP, netip.AddrPortFrom(web4.Addr.Addr(), uint16(i+1)))
		e := entry(service(key))
		for j := range i % 3 {
			r := real(key, byte(j+1))
			e.Reals[r.Addr] = r
		}
		want[key] = e
	}
	for _, key := range []table.ServiceKey{mark4, mark6} {
		big := entry(service(key))
		for i := range 1500 {
			r := real(key, byte(i))
			r.Addr = netip.AddrPortFrom(r.Addr.Addr(), uint16(i))
			big.Reals[r.Addr] = r
		}
		want[key] = big
	}
	mustDo(t, k, add(want)...)
	mustHold(t, k, want)
	mustEqual(t, mustRead(t, k, mark6), table.State{mark6: want[mark6]})
}

func testTwice(t *testing.T, k Subject) {
	want := table.State{}
	for i, key := range keys() {
		want[key] = entry(service(key), real(key, byte(i)), real(key, 200))
	}
	mustDo(t, k, add(want)...)
	again := table.Plan(mustRead(t, k).State, want, func(table.ServiceKey) bool { return true })
	if len(again) > 0 {
		t.Errorf("a table that is as wanted has a plan: %v", again)
	}
}

// testAnswersStay: an answer is a snapshot, whatever happens to the table after
// it. What ReadState answers may be shared with its next answers, so it must
// not be changed; what Read answers is the caller's.
func testAnswersStay(t *testing.T, k Subject) {
	first := state(entry(service(web4), real(web4, 1), real(web4, 2)), entry(service(web6), real(web6, 1)))
	second := state(entry(service(web4), real(web4, 1, func(r *table.Real) { r.Weight = 7 })), entry(service(web6)))
	mustDo(t, k, add(first)...)
	for range 3 { // the same answer several times may come from another place
		mustHold(t, k, first)
	}
	have := mustRead(t, k).State
	alone, err := k.ReadState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustDo(t, k, table.Plan(first, second, func(table.ServiceKey) bool { return true })...)
	mustHold(t, k, second)
	for _, before := range []table.State{have, alone} {
		if d := Diff(first, before); d != "" {
			t.Errorf("an answer changed afterwards (-want +got):\n%s", d)
		}
	}
	clear(have)
	mustHold(t, k, second)
}

func testPartialRead(t *testing.T, k Subject) {
	all := table.State{}
	for i, key := range keys() {
		all[key] = entry(service(key), real(key, byte(i)), real(key, 200))
	}
	mustDo(t, k, add(all)...)
	for _, key := range keys() {
		mustEqual(t, mustRead(t, k, key), table.State{key: all[key]})
	}
	absent := table.ByMark(table.IPv4, 99)
	mustEqual(t, mustRead(t, k, absent), nil)
	mustEqual(t, mustRead(t, k, web6, absent, mark4, web6), table.State{web6: all[web6], mark4: all[mark4]})
}

func testForeign(t *testing.T, k Subject) {
	foreign := entry(service(mark4), real(mark4, 1))
	mine := entry(service(web4), real(web4, 1), real(web4, 2))
	mustDo(t, k, add(state(foreign, mine))...)
	ours := func(key table.ServiceKey) bool { return key != mark4 }
	steps := table.Plan(mustRead(t, k).State, nil, ours)
	mustDo(t, k, steps...)
	mustHold(t, k, state(foreign))
}

func testCounters(t *testing.T, k Subject) {
	mustDo(t, k, add(state(entry(service(web4), real(web4, 1))))...)
	have := mustRead(t, k)
	for p, c := range have.Reals {
		if c != (table.Counters{}) {
			t.Errorf("%s was never used and counts %+v", p, c)
		}
	}
	if c := have.Services[web4]; c != (table.Counters{}) {
		t.Errorf("%s was never used and counts %+v", web4, c)
	}
}

func testGoesOn(t *testing.T, k Subject) {
	s, r := service(web4), real(web4, 1)
	errs := k.Do(t.Context(), []table.Step{
		step(table.AddReal, s, r),                                  // no service yet
		step(table.AddService, s),                                  // fine
		step(table.AddService, s),                                  // there already
		step(table.AddReal, s, r),                                  // fine
		step(table.AddReal, s, r),                                  // there already
		step(table.EditReal, s, real(web4, 2)),                     // not there
		step(table.AddReal, s, table.Real{}),                       // nonsense
		step(table.AddReal, s, real(web4, 3)),                      // fine
		step(table.DeleteReal, s, r),                               // fine
		step(table.DeleteReal, s, r),                               // gone already
		step(table.DeleteService, table.Service{ServiceKey: web6}), // never was
		step(table.AddService, service(mark4)),                     // fine
	})
	want := []error{
		table.ErrNoService, nil, table.ErrExist, nil, table.ErrExist, table.ErrNoReal, table.ErrInvalid, nil,
		nil, table.ErrNoReal, table.ErrNoService, nil,
	}
	for i := range want {
		if !errors.Is(errs[i], want[i]) {
			t.Errorf("step %d: got error %v, want %v", i, errs[i], want[i])
		}
	}
	mustHold(t, k, state(entry(s, real(web4, 3)), entry(service(mark4))))

	// The same among so many that the steps travel in several batches.
	var steps []table.Step
	for i := range 600 {
		steps = append(steps, step(table.AddReal, s, real(web4, byte(i%200))))
	}
	for i, err := range k.Do(t.Context(), steps) {
		if first := i < 200 && i != 3; (err == nil) != first || (err != nil && !errors.Is(err, table.ErrExist)) {
			t.Errorf("step %d: got error %v", i, err)
		}
	}
	if n := len(mustRead(t, k, web4).State[web4].Reals); n != 200 {
		t.Errorf("%d real servers, want 200", n)
	}
}

func name(f string, args ...any) string { return fmt.Sprintf(f, args...) }

func isUncommon(scheduler string) bool { return slices.Contains(uncommon, scheduler) }
