package ldirectord

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipvsd/ipvsd/director/config/convert"
	"github.com/ipvsd/ipvsd/director/config/convert/ldirectord/gen"
)

// FuzzConvert: nothing panics, every output is valid, no secret is in it, and
// what ldirectord accepts loses only what a note says.
func FuzzConvert(f *testing.F) {
	files, err := filepath.Glob("testdata/*.cf")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for n := range uint64(50) {
		f.Add(gen.File(rand.New(rand.NewPCG(1, n)), gen.Options{Slips: float64(n%5) / 20}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := imported(t, string(data), testOptions())
		for _, n := range r.Notes {
			if n.File != "x" || n.Line < 0 {
				t.Errorf("note %q", n)
			}
		}
		Accepts(convert.File{Name: "x", Data: data}, testOptions())
	})
}

// TestGenerated does the same for many files of the grammar, and looks that
// every virtual service that was read is in the output, or a note says why not.
func TestGenerated(t *testing.T) {
	for n := range uint64(400) {
		data := gen.File(rand.New(rand.NewPCG(7, n)), gen.Options{Slips: float64(n%4) / 25})
		r := imported(t, string(data), testOptions())
		p := parse(convert.File{Name: "x", Data: data}, testOptions())
		if got := len(r.Doc.Arrays("virtual")); got != len(p.virtuals) {
			t.Errorf("%d virtual services in the output of\n%s", got, data)
		}
		if t.Failed() {
			t.Fatalf("file %d:\n%s", n, data)
		}
	}
}

// TestFarm: what a lab is given to play, ldirectord accepts and ipvsd has
// without a loss.
func TestFarm(t *testing.T) {
	for n := range uint64(200) {
		data := gen.Farm{
			VIPs: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, Mark: 10,
			Reals: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, Sorry: "10.0.0.9", Command: "/bin/true",
		}.File(rand.New(rand.NewPCG(3, n)))
		if note, ok := Accepts(convert.File{Name: "x", Data: data}, testOptions()); !ok {
			t.Fatalf("file %d: %s\n%s", n, note, data)
		}
		if r := imported(t, string(data), testOptions()); r.Lost() {
			t.Fatalf("file %d:\n%s%s", n, notes(r), data)
		}
	}
}
