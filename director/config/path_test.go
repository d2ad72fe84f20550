package config

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/table"
)

// marked is a file with these pairs of virtual service and real server, each
// checked at the virtual service's address.
func marked(pairs []table.Pair, more string) string {
	var b strings.Builder
	b.WriteString(more + "[check]\npath = \"vip\"\n")
	for _, p := range pairs {
		fmt.Fprintf(&b, "[[virtual]]\naddress = %q\nreal = [{ address = %q }]\n", p.Service.Addr, p.Real.Addr())
	}
	return b.String()
}

// marksOf are the marks by pair; it wants each to have a service of its own that
// leads there and nowhere else.
func marksOf(t *testing.T, cfg *Config) map[table.Pair]uint32 {
	t.Helper()
	out, seen := map[table.Pair]uint32{}, map[uint32]bool{}
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			mark := r.Check.Mark
			key := table.ByMark(v.Service.Family, mark)
			e, ok := cfg.CheckServices[key]
			if want := (table.Real{Addr: r.Check.Via, Forward: r.Forward, Weight: 1}); !ok || len(e.Reals) != 1 || e.Reals[r.Check.Via] != want {
				t.Errorf("%s %s: mark %#x leads to %v, want %v", v.Name, r.Addr, mark, e.Reals, want)
			}
			if seen[mark] || !cfg.Director.IsCheckMark(key) {
				t.Errorf("%s %s: mark %#x is another's, or none of ours", v.Name, r.Addr, mark)
			}
			seen[mark] = true
			out[table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}] = mark
		}
	}
	if len(cfg.CheckServices) != len(out) {
		t.Errorf("%d services for %d checks", len(cfg.CheckServices), len(out))
	}
	for key, e := range cfg.CheckServices {
		for addr, real := range e.Reals {
			if err := (table.Step{Op: table.AddService, Service: e.Service}).Validate(); err != nil {
				t.Error(err)
			}
			if err := real.Validate(key); err != nil || real.Addr != addr {
				t.Error(addr, err)
			}
		}
	}
	return out
}

func randomPairs(n int) []table.Pair {
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[netip.Addr]bool{}
	var out []table.Pair
	for len(out) < n {
		a := random.Uint32()
		vip := netip.AddrFrom4([4]byte{10, byte(a >> 16), byte(a >> 8), byte(a)})
		if seen[vip] {
			continue
		}
		seen[vip] = true
		real := netip.AddrFrom4([4]byte{172, 16, byte(a >> 24), 1})
		out = append(out, table.Pair{
			Service: table.ByAddr(table.TCP, netip.AddrPortFrom(vip, 80)),
			Real:    netip.AddrPortFrom(real, 80),
		})
	}
	return out
}

// TestMarks: marks are unique, and a pair's own one doesn't depend on its place
// in the file, nor on other pairs, unless they come to the same one.
func TestMarks(t *testing.T) {
	pairs := randomPairs(3000)
	cfg, _ := mustParse(t, marked(pairs, ""))
	all := marksOf(t, cfg)

	rand.New(rand.NewPCG(3, 4)).Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	cfg, _ = mustParse(t, marked(pairs, ""))
	if diff := cmp.Diff(all, marksOf(t, cfg), compareAddresses); diff != "" {
		t.Errorf("in another order (-before +after):\n%s", diff)
	}

	first := map[uint32]int{} // how many pairs would like a mark
	for _, p := range pairs {
		first[markOf(p)]++
	}
	cfg, _ = mustParse(t, marked(pairs[:1000], ""))
	moved := 0
	for p, mark := range marksOf(t, cfg) {
		if mark == all[p] {
			continue
		}
		if moved++; first[markOf(p)] == 1 && first[markOf(p)-1] == 0 {
			t.Errorf("%s had mark %#x among more and has %#x now, though nobody else wants it", p, all[p], mark)
		}
	}
	if moved > 3 {
		t.Errorf("%d of 1000 marks moved", moved)
	}

	cfg, _ = mustParse(t, marked(pairs, "[director]\ncheck_marks = 0xfff00000\n"))
	for p, mark := range marksOf(t, cfg) {
		if mark-0xfff00000 != all[p]-defaultCheckMarks {
			t.Errorf("%s: mark %#x with another first one, %#x without", p, mark, all[p])
		}
	}
}

// TestMarksCollide has two pairs that come to the same mark: the first of them
// has it, the other one the next.
func TestMarksCollide(t *testing.T) {
	by := map[uint32]table.Pair{}
	for _, p := range randomPairs(5000) {
		q, ok := by[markOf(p)]
		if by[markOf(p)] = p; !ok {
			continue
		}
		if q.Compare(p) < 0 {
			p, q = q, p
		}
		cfg, _ := mustParse(t, marked([]table.Pair{q, p}, ""))
		marks := marksOf(t, cfg)
		if own := defaultCheckMarks + markOf(p); marks[p] != own || marks[q] != defaultCheckMarks+(markOf(p)+1)%CheckMarks {
			t.Errorf("marks %#x and %#x, want %#x and the next", marks[p], marks[q], own)
		}
		return
	}
	t.Fatal("no two of 5000 pairs come to the same mark: the test tests nothing")
}

// TestPathDiff: turning it on is one line for each virtual service.
func TestPathDiff(t *testing.T) {
	before, _ := mustParse(t, diffBefore)
	after, _ := mustParse(t, "[check]\npath = \"vip\"\n"+diffBefore)
	want := []string{`virtual web: check path direct -> vip`, `virtual 192.0.2.20:25: check path direct -> vip`}
	if diff := cmp.Diff(want, Diff(before, after)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
