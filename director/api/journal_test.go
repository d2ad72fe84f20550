package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/journal"
)

// pastJournal has so many entries: odd ones are verdicts of web, even ones drifts.
type pastJournal []journal.Entry

func pastOf(n int) pastJournal {
	var out pastJournal
	for i := range n {
		e := journal.Entry{Seq: uint64(i + 1), Time: testTime, Kind: journal.Drift, Text: fmt.Sprintf("number %d.", i+1)}
		if i%2 == 0 {
			e.Kind, e.Virtual, e.Real = journal.Verdict, "web", "192.168.0.101:80"
		}
		out = append(out, e)
	}
	return out
}

func (p pastJournal) Since(seq uint64, limit int) []journal.Entry {
	return journal.Select(p, journal.Query{After: seq, Limit: limit})
}

func (p pastJournal) Last() uint64 { return uint64(len(p)) }

func (p pastJournal) Wake() <-chan struct{} { return nil }

func TestJournal(t *testing.T) {
	for _, tt := range []struct {
		query string
		want  []uint64 // the first three and the last
		n     int
	}{
		{"", []uint64{1501, 1502, 1503, 2500}, 1000},
		{"?limit=4", []uint64{2497, 2498, 2499, 2500}, 4},
		{"?after=0", []uint64{1, 2, 3, 1000}, 1000},
		{"?after=2000", []uint64{2001, 2002, 2003, 2500}, 500},
		{"?after=2496", []uint64{2497, 2498, 2499, 2500}, 4},
		{"?after=10&limit=4", []uint64{11, 12, 13, 14}, 4},
		{"?kind=drift&limit=4", []uint64{2494, 2496, 2498, 2500}, 4},
		{"?kind=drift,verdict&limit=4", []uint64{2497, 2498, 2499, 2500}, 4},
		{"?kind=drift&kind=verdict&limit=4", []uint64{2497, 2498, 2499, 2500}, 4},
		{"?virtual=web&limit=4", []uint64{2493, 2495, 2497, 2499}, 4},
		{"?real=192.168.0.101&limit=4", []uint64{2493, 2495, 2497, 2499}, 4},
		{"?real=192.168.0.102", nil, 0},
		{"?after=2500", nil, 0},
	} {
		t.Run(tt.query, func(t *testing.T) {
			p := newPages(&fakeSource{}, NewMetrics(""), quiet())
			p.feed.journal = pastOf(2500)
			rec := httptest.NewRecorder()
			p.public().ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/journal"+tt.query, nil))
			var page JournalPage
			if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil || rec.Code != 200 || page.Entries == nil {
				t.Fatalf("status %d, %v\n%s", rec.Code, err, rec.Body)
			}
			var got []uint64
			for i, e := range page.Entries {
				if i < 3 || i == len(page.Entries)-1 {
					got = append(got, e.Seq)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || len(page.Entries) != tt.n || page.Last != 2500 {
				t.Errorf("%d entries, last %d (-want +got):\n%s", len(page.Entries), page.Last, diff)
			}
		})
	}
}

func TestJournalRefuses(t *testing.T) {
	for query, want := range map[string]string{
		"?after=x":     "after=x: the number of an entry is wanted\n",
		"?after=-1":    "after=-1: the number of an entry is wanted\n",
		"?limit=0":     "limit=0: a number from 1 to 1000 is wanted\n",
		"?limit=1001":  "limit=1001: a number from 1 to 1000 is wanted\n",
		"?kind=drifts": "kind=drifts: there are verdict, weight, virtual, operator, reload, role, failover, member, address, sync, drift, kernel, daemon\n",
		"?reals=a":     "unknown parameter \"reals\"; there are after, limit, real, virtual and kind\n",
	} {
		rec := httptest.NewRecorder()
		newPages(&fakeSource{}, NewMetrics(""), quiet()).public().ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/journal"+query, nil))
		if rec.Code != 400 || rec.Body.String() != want {
			t.Errorf("%s: status %d, %q; want %q", query, rec.Code, rec.Body, want)
		}
	}
}

// TestClientJournal reads more than one answer holds.
func TestClientJournal(t *testing.T) {
	_, socket := startWith(t, &fakeSource{}, pastOf(2500))
	c := NewClient(socket)
	defer c.Close()
	list, err := c.Journal(t.Context())
	if err != nil || len(list) != 2500 || list[0].Seq != 1 || list[2499].Seq != 2500 {
		t.Errorf("%d entries, %v", len(list), err)
	}
	gone := NewClient(t.TempDir() + "/none.sock")
	if _, err := gone.Journal(t.Context()); err == nil || !strings.Contains(err.Error(), ErrNoDaemon.Error()) {
		t.Errorf("without a director: %v", err)
	}
}
