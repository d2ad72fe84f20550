package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director/trial"
)

// TestEndTrial: a trial that ended while no director ran is taken back before
// the start; where that fails, the start goes on, and the trial, too.
func TestEndTrial(t *testing.T) {
	for _, fails := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "ipvsd.toml")
		if err := os.WriteFile(file, []byte("new"), 0o644); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		if err := trial.Begin(file, []byte("old"), trial.Trial{Deadline: now.Add(time.Minute), By: "ann"}); err != nil {
			t.Fatal(err)
		}
		if fails {
			if err := os.Mkdir(file+".rejected", 0o755); err != nil {
				t.Fatal(err)
			}
		}
		text := func() string {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		var said strings.Builder
		log := slog.New(slog.NewTextHandler(&said, nil))
		endTrial(file, now, log)
		if text() != "new" || said.String() != "" {
			t.Errorf("before the deadline: %q, %s", text(), said.String())
		}
		endTrial(file, now.Add(time.Minute), log)
		want, level := "old", "level=WARN"
		if fails {
			want, level = "new", "level=ERROR"
		}
		left, err := trial.Running(file)
		if text() != want || !strings.Contains(said.String(), level) || (left != nil) != fails || err != nil {
			t.Errorf("fails %t: %q, on trial %+v, %v\n%s", fails, text(), left, err, said.String())
		}
	}
}
