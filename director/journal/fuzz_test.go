package journal_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipvsd/ipvsd/director/journal"
)

// FuzzRead reads any bytes as a ring: no panic, numbers that only grow, and what
// was read is written and read again as it is.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"seq":1,"time":"2026-11-22T12:00:00Z","kind":"drift","text":"a"}`+"\n"), []byte(`{"seq":2,"text":"b"}`))
	f.Add([]byte("{\"seq\":1,\"text\":\"a\"}\n{\"seq\":2,\"te"), []byte("\n\n\x00"))
	f.Fuzz(func(t *testing.T, older, newer []byte) {
		dir := t.TempDir()
		for name, b := range map[string][]byte{"journal.old.jsonl": older, "journal.jsonl": newer} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		list, _, err := journal.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		last := uint64(0)
		for _, e := range list {
			if e.Seq <= last || e.Text == "" {
				t.Fatalf("%d after %d: %q", e.Seq, last, e.Text)
			}
			last = e.Seq
		}
		j := journal.New(journal.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		j.Put(entry("more"))
		if err := j.Run(ctx); err != nil {
			t.Fatal(err)
		}
		again, _, err := journal.Read(dir)
		if err != nil || len(again) == 0 || again[len(again)-1].Text != "more" || again[len(again)-1].Seq != j.Last() {
			t.Errorf("after one more: %v, %v", texts(again), err)
		}
	})
}
