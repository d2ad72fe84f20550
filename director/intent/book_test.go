package intent

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director/table"
)

var (
	web   = table.ByAddr(table.TCP, netip.MustParseAddrPort("192.0.2.10:80"))
	tls   = table.ByAddr(table.TCP, netip.MustParseAddrPort("192.0.2.10:443"))
	node  = netip.MustParseAddrPort("10.0.0.1:80")
	other = netip.MustParseAddrPort("10.0.0.2:80")
)

func machine(a netip.AddrPort) Key {
	return Key{Real: netip.AddrPortFrom(a.Addr(), 0), Machine: true}
}

func mark(k Key, at int64, director string, w Wish) Record {
	m := NewMark(k, Version{at, director}, w, time.Time{}, "root", "")
	return Record{Mark: &m}
}

func done(p table.Pair, at int64, director string) Record {
	d := NewDone(p, Version{at, director}, time.Unix(100+at, 0), 0)
	return Record{Done: &d}
}

func everything(Key) bool { return true }

// TestOf has several marks over one real server: the newest counts, whatever it
// is about.
func TestOf(t *testing.T) {
	pair := table.Pair{Service: web, Real: node}
	one, all := Key{Service: web, Real: node}, Key{Real: node}
	for _, tt := range []struct {
		name  string
		marks []Record
		want  Wish // "": none
	}{
		{"none", nil, ""},
		{"the machine", []Record{mark(machine(node), 1, "a", Disable)}, Disable},
		{"another machine", []Record{mark(machine(other), 1, "a", Disable)}, ""},
		{"all services", []Record{mark(all, 1, "a", Drain)}, Drain},
		{"another service", []Record{mark(Key{Service: tls, Real: node}, 1, "a", Drain)}, ""},
		{"the newer of two", []Record{mark(machine(node), 1, "a", Disable), mark(one, 2, "a", Drain)}, Drain},
		{"enabled in one service", []Record{mark(machine(node), 1, "a", Disable), mark(one, 2, "a", Enable)}, ""},
		{"the machine later", []Record{mark(one, 1, "a", Enable), mark(machine(node), 2, "a", Disable)}, Disable},
		{"at the same time", []Record{mark(one, 1, "a", Enable), mark(all, 1, "b", Drain)}, Drain},
		{"an old drain after enable", []Record{mark(one, 5, "b", Enable), mark(one, 4, "a", Drain)}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, _ := Book{}.Merge(tt.marks)
			m, ok := b.Of(pair)
			if ok != (tt.want != "") || ok && m.Wish != tt.want {
				t.Errorf("%v %q, want %q", ok, m.Wish, tt.want)
			}
		})
	}
}

// someRecords makes records that meet often: few keys, few times.
func someRecords(r *rand.Rand, n int) []Record {
	services := []table.ServiceKey{{}, web, tls}
	wishes := []Wish{Drain, Disable, Enable}
	var out []Record
	for range n {
		real := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + r.IntN(2))}), 80)
		k := Key{Service: services[r.IntN(3)], Real: real}
		if r.IntN(3) == 0 {
			k = machine(real)
		}
		at, director := int64(1+r.IntN(6)), string(rune('a'+r.IntN(2)))
		if r.IntN(4) == 0 {
			out = append(out, done(table.Pair{Service: services[1+r.IntN(2)], Real: real}, at, director))
			continue
		}
		out = append(out, mark(k, at, director, wishes[r.IntN(3)]))
	}
	return out
}

// TestMergeInAnyOrder tells three directors the same in three orders, in parts
// and repeatedly: they end with the same.
func TestMergeInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 500 {
		records := someRecords(r, 12)
		// The end of a drain is only ever told by who knows the drain.
		marks := slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.Mark == nil })
		var first [8]byte
		for i := range 3 {
			b, _ := Book{}.Merge(marks)
			r.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
			for part := range slices.Chunk(records, 1+r.IntN(4)) {
				b, _ = b.Merge(part)
			}
			again, changed := b.Merge(b.Records())
			if changed || !again.Equal(b) {
				t.Fatalf("round %d: a book merged with itself changes", round)
			}
			if i == 0 {
				first = b.Digest()
			} else if b.Digest() != first {
				t.Fatalf("round %d: another order, another book", round)
			}
		}
	}
}

// TestNews brings two books together as directors do: one takes the other's
// records and gives what the other lacks.
func TestNews(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		a, _ := Book{}.Merge(someRecords(r, r.IntN(10)))
		b, _ := Book{}.Merge(someRecords(r, r.IntN(10)))
		theirs := b.Records()
		a, _ = a.Merge(theirs)
		b, _ = b.Merge(a.News(theirs))
		if a.Digest() != b.Digest() {
			t.Fatalf("after an exchange:\n%v\n%v", a.Records(), b.Records())
		}
	}
}

// TestNextWins: who has seen a mark makes one that wins over it, also with a
// clock that is behind.
func TestNextWins(t *testing.T) {
	k := Key{Real: node}
	b, _ := Book{}.Merge([]Record{mark(k, 1_000_000, "zzz", Drain)})
	v := b.Next(time.Unix(0, 5), "a")
	b, _ = b.Merge([]Record{mark(k, v.Time, v.Director, Enable)})
	if _, held := b.Of(table.Pair{Service: web, Real: node}); held {
		t.Error("enable lost against a mark that its director had seen")
	}
}

// TestLeftTheFile has a real server leave the file and come back: its mark is
// over here, without the other directors hearing of it.
func TestLeftTheFile(t *testing.T) {
	pair := table.Pair{Service: web, Real: node}
	b, _ := Book{}.Merge([]Record{mark(Key{Real: node}, 1, "a", Disable)})
	nothing := func(Key) bool { return false }
	if c, lost, _ := b.Use(nothing); len(lost) != 0 || !c.holds(pair) {
		t.Error("a mark of a real server that the file doesn't name yet is lost")
	}
	b, _, _ = b.Use(everything)
	digest := b.Digest()
	b, lost, _ := b.Use(nothing)
	if len(lost) != 1 || b.holds(pair) || b.Digest() != digest {
		t.Errorf("left the file: lost %v, held %v", lost, b.holds(pair))
	}
	b, lost, _ = b.Use(everything)
	if len(lost) != 0 || b.holds(pair) {
		t.Error("back in the file, and the old mark counts again")
	}
	b, _ = b.Merge([]Record{mark(Key{Real: node}, 2, "a", Drain)})
	b, _, _ = b.Use(everything)
	if !b.holds(pair) {
		t.Error("a new mark doesn't count")
	}
	if _, lost, _ = b.Use(nothing); len(lost) != 1 {
		t.Error("leaving the file a second time isn't told")
	}
}

func (b Book) holds(p table.Pair) bool { _, ok := b.Of(p); return ok }

// TestSpare bounds what is kept for real servers that nobody names, and never
// drops a mark that counts.
func TestSpare(t *testing.T) {
	var records []Record
	for i := range 3 * maxSpare {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 80)
		records = append(records, mark(Key{Real: a}, int64(10+i), "a", Enable), mark(machine(a), int64(10+i), "a", Drain))
	}
	old := mark(Key{Real: node}, 1, "a", Disable)
	b, _ := Book{}.Merge(append(records, old))
	b, _, _ = b.Use(func(k Key) bool { return k.Real == node })
	if n := b.Len(); n != 2*maxSpare+1 {
		t.Errorf("%d marks are kept, want %d", n, 2*maxSpare+1)
	}
	if !b.holds(table.Pair{Service: web, Real: node}) {
		t.Error("a mark that counts was dropped")
	}
	all, _ := Book{}.Merge(slices.DeleteFunc(records, func(r Record) bool { return r.Mark.Wish == Enable }))
	if all, _, _ = all.Use(everything); all.Len() != 3*maxSpare {
		t.Errorf("%d of %d drained real servers of the file are kept", all.Len(), 3*maxSpare)
	}
}

func TestPages(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	b, _ := Book{}.Merge(someRecords(r, 60))
	long := strings.Repeat("ä<\"", 200)
	m := NewMark(Key{Service: web, Real: node}, Version{9, strings.Repeat("n", 99)}, Drain, time.Unix(1<<31, 5), long, long)
	b, _ = b.Merge([]Record{{Mark: &m}})
	const limit = 1150
	var got []Record
	for rest := b.Records(); len(rest) > 0; {
		page, n := Page(rest, limit)
		if len(page) > limit {
			t.Fatalf("a page of %d bytes, at most %d", len(page), limit)
		}
		records, err := ReadPage(page)
		if err != nil || len(records) != n {
			t.Fatalf("%d records of %d: %v", len(records), n, err)
		}
		got = append(got, records...)
		rest = rest[n:]
	}
	if again, _ := (Book{}).Merge(got); again.Digest() != b.Digest() {
		t.Error("the pages have another book")
	}
}

// TestUnknownRecords: what a newer ipvsd tells doesn't hide the rest.
func TestUnknownRecords(t *testing.T) {
	good, _ := json.Marshal(mark(Key{Real: node}, 1, "a", Drain))
	page := fmt.Sprintf(`[{"real":"10.0.0.1:80","wish":"levitate","version":{"time":1,"director":"a"}}, 7, %s]`, good)
	records, err := ReadPage([]byte(page))
	if err != nil || len(records) != 1 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

func TestClean(t *testing.T) {
	for _, tt := range [][2]string{
		{"kernel update", "kernel update"},
		{" \x1b[2Jgone\n", "[2Jgone"},
		{"bad \xff byte", "bad   byte"},
		{strings.Repeat("ä", 20), strings.Repeat("ä", 10)},
	} {
		got := Clean(tt[0], 20)
		if got != tt[1] || Clean(got, 20) != got {
			t.Errorf("%q: %q, want %q", tt[0], got, tt[1])
		}
	}
}

func FuzzPage(f *testing.F) {
	records := someRecords(rand.New(rand.NewPCG(7, 8)), 8)
	page, _ := Page(records, 1<<20)
	f.Add(page)
	f.Add([]byte(`[{"real":"[fd00::1]:80","wish":"drain","version":{"time":1,"director":"a"},"deadline":"2026-11-22T10:00:00.123456789+01:00","by":"x"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		records, err := ReadPage(b)
		if err != nil || len(records) == 0 {
			return
		}
		page, n := Page(records, 1<<30)
		again, err := ReadPage(page)
		if err != nil || n != len(records) || len(again) != len(records) {
			t.Fatalf("%d records, then %d: %v", len(records), len(again), err)
		}
		x, _ := Book{}.Merge(records)
		y, _ := Book{}.Merge(again)
		if !x.Equal(y) || x.Digest() != y.Digest() {
			t.Errorf("%+v, then %+v", x.Records(), y.Records())
		}
		for _, r := range records {
			if one, _ := Page([]Record{r}, 0); len(one) > 1150 {
				t.Errorf("one record has %d bytes", len(one))
			}
		}
	})
}
