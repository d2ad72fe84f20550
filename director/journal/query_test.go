package journal_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/journal"
)

func TestSelect(t *testing.T) {
	list := []journal.Entry{
		{Seq: 1, Kind: journal.Verdict, Virtual: "web", Real: "192.168.0.101:80"},
		{Seq: 2, Kind: journal.Weight, Virtual: "web", Real: "192.168.0.102:80"},
		{Seq: 3, Kind: journal.Verdict, Virtual: "mail", Real: "[fd00::101]:25"},
		{Seq: 4, Kind: journal.Daemon},
	}
	for _, tt := range []struct {
		name string
		q    journal.Query
		want []uint64
	}{
		{"all", journal.Query{}, []uint64{1, 2, 3, 4}},
		{"after", journal.Query{After: 2}, []uint64{3, 4}},
		{"the oldest", journal.Query{Limit: 2}, []uint64{1, 2}},
		{"the newest", journal.Query{Limit: 2, Newest: true}, []uint64{3, 4}},
		{"kind", journal.Query{Kinds: []journal.Kind{journal.Verdict}}, []uint64{1, 3}},
		{"kinds, the newest", journal.Query{Kinds: []journal.Kind{journal.Verdict, journal.Daemon}, Limit: 1, Newest: true}, []uint64{4}},
		{"virtual", journal.Query{Virtual: "web"}, []uint64{1, 2}},
		{"real", journal.Query{Real: "192.168.0.101:80"}, []uint64{1}},
		{"machine", journal.Query{Real: "192.168.0.102"}, []uint64{2}},
		{"IPv6 machine", journal.Query{Real: "fd00::101"}, []uint64{3}},
		{"IPv6 machine in brackets", journal.Query{Real: "[fd00::101]"}, []uint64{3}},
		{"nobody", journal.Query{Real: "192.168.0.10"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []uint64
			for _, e := range journal.Select(list, tt.q) {
				got = append(got, e.Seq)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
