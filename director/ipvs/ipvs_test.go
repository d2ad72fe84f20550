package ipvs

import (
	"context"
	"testing"

	"github.com/ipvsd/ipvsd/director/kerneltest"
)

// mustOpen opens the table and empties it.
func mustOpen(t testing.TB) *Table {
	t.Helper()
	tbl, err := Open(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tbl.Close(); err != nil {
			t.Error(err)
		}
	})
	mustFlush(t, tbl)
	return tbl
}

// mustFlush empties the whole table, whoever filled it.
func mustFlush(t testing.TB, tbl *Table) {
	t.Helper()
	l := &tbl.reader.link
	l.end(l.begin(l.family, 17, 0x4)) // IPVS_CMD_FLUSH, NLM_F_ACK
	if err := l.ask(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	kerneltest.Contract(t, func(t *testing.T) kerneltest.Subject { return mustOpen(t) })
}
