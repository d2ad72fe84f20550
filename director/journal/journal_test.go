package journal_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/journal"
)

// rig is a journal that runs until end is called.
type rig struct {
	*journal.Journal
	log *strings.Builder // to be read after end
	end func()
}

func start(t *testing.T, o journal.Options) *rig {
	t.Helper()
	r := &rig{log: &strings.Builder{}}
	o.Log = slog.New(slog.NewTextHandler(r.log, nil))
	r.Journal = journal.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.end)
	synctest.Wait()
	return r
}

func entry(text string) journal.Entry { return journal.Entry{Kind: journal.Drift, Text: text} }

// stop is the last word of a run.
var stop = journal.Entry{Kind: journal.Daemon, After: journal.Stopped, Text: "stopped."}

// texts are the entries as "number text".
func texts(list []journal.Entry) []string {
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprintf("%d %s", e.Seq, e.Text))
	}
	return out
}

func want(t *testing.T, what string, got []journal.Entry, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, texts(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := start(t, journal.Options{})
		one, two := j.Wake(), j.Wake()
		want(t, "nothing yet", j.Since(0, 0))
		j.Put(entry("a"), entry("b"))
		j.Put(entry("c"))
		synctest.Wait()
		<-one
		<-two
		want(t, "all", j.Since(0, 0), "1 a", "2 b", "3 c")
		want(t, "the oldest two", j.Since(0, 2), "1 a", "2 b")
		want(t, "after the first", j.Since(1, 0), "2 b", "3 c")
		want(t, "after the last", j.Since(3, 0))
		want(t, "after what will be", j.Since(1<<63, 0))
		if got := j.Since(0, 1)[0]; !got.Time.Equal(time.Now()) {
			t.Errorf("an entry without a time has %v", got.Time)
		}
		select {
		case <-one:
			t.Error("woken for nothing")
		default:
		}
		before := j.Since(0, 0)
		for range 2 * journal.Capacity {
			j.Put(entry("many"))
			synctest.Wait()
		}
		want(t, "what a reader has stays", before, "1 a", "2 b", "3 c")
		all := j.Since(0, 0)
		if n := len(all); n < journal.Capacity || n > journal.Capacity*5/4 || all[n-1].Seq != 3+2*journal.Capacity || j.Last() != all[n-1].Seq {
			t.Errorf("%d entries, the last is %d", n, j.Last())
		}
	})
}

// Long entries are fewer.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := start(t, journal.Options{})
		steps := make([]string, journal.MaxLines)
		for i := range steps {
			steps[i] = strings.Repeat("-", 900)
		}
		for range 1000 {
			j.Put(journal.Entry{Kind: journal.Reload, Text: "long", Steps: slices.Clone(steps)})
			synctest.Wait()
		}
		if n := len(j.Since(0, 0)); n < 100 || n > 400 || j.Last() != 1000 {
			t.Errorf("%d entries of 45 KB, the last is %d", n, j.Last())
		}
	})
}

func TestNilJournalKeepsNothing(t *testing.T) {
	var j *journal.Journal
	j.Put(entry("a"))
	if j.Since(0, 0) != nil || j.Last() != 0 || j.Wake() != nil {
		t.Error("it keeps something")
	}
}

func TestRestartGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state") // which is made
		first := start(t, journal.Options{Dir: dir})
		full := journal.Entry{
			Kind: journal.Verdict, Virtual: "web", Real: "192.168.0.101:80", Before: "up", After: "down", Cause: "status 503",
			Text: "192.168.0.101:80 of web is down.", Weight: &journal.Change{Before: 3}, Steps: []string{"-e …"}, Took: time.Millisecond,
		}
		first.Put(full, stop)
		first.end()
		second := start(t, journal.Options{Dir: dir})
		want(t, "after a stop", second.Since(0, 0), "1 192.168.0.101:80 of web is down.", "2 stopped.")
		got := second.Since(0, 1)[0]
		full.Seq, full.Time = 1, got.Time
		if diff := cmp.Diff(full, got); diff != "" {
			t.Errorf("an entry over a restart (-want +got):\n%s", diff)
		}
		second.Put(entry("c"))
		synctest.Wait()

		// The second is killed: its files are as they are now.
		third := start(t, journal.Options{Dir: dir})
		want(t, "after a kill", third.Since(2, 0), "3 c", "4 the director ended some time after this, without a word: it was killed, or the machine went down.")
		list, skipped, err := journal.Read(dir)
		if len(list) != 4 || skipped != 0 || err != nil {
			t.Errorf("read: %d entries, %d skipped, %v", len(list), skipped, err)
		}
	})
}

// TestHalfLine ends the file at each byte of its last line, as a crash does.
func TestHalfLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "journal.jsonl")
		j := start(t, journal.Options{Dir: dir})
		j.Put(entry("a"), stop)
		j.end()
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		first := strings.IndexByte(string(whole), '\n') + 1
		for n := first + 1; n < len(whole); n++ {
			if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
				t.Fatal(err)
			}
			j := start(t, journal.Options{Dir: dir})
			j.Put(entry("b"))
			j.end()
			if !strings.Contains(j.log.String(), "lines of the journal are unreadable") {
				t.Fatalf("cut at %d: not told:\n%s", n, j.log)
			}
			list, skipped, err := journal.Read(dir)
			if skipped != 0 || err != nil || len(list) != 3 || list[0].Text != "a" || list[len(list)-1].Text != "b" {
				t.Fatalf("cut at %d: %v, %d skipped, %v", n, texts(list), skipped, err)
			}
		}
	})
}

func TestRingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 8 << 10
		dir := t.TempDir()
		j := start(t, journal.Options{Dir: dir, Size: size})
		for i := range 500 {
			j.Put(entry(fmt.Sprintf("number %d of many", i+1)))
			synctest.Wait()
			total := int64(0)
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			for _, f := range files {
				info, err := os.Stat(f)
				if err != nil {
					t.Fatal(err)
				}
				total += info.Size()
			}
			if total > size {
				t.Fatalf("%d bytes on disk, want %d at most", total, size)
			}
		}
		list, skipped, err := journal.Read(dir)
		if skipped != 0 || err != nil || len(list) < 20 || list[len(list)-1].Seq != 500 || list[0].Seq != uint64(501-len(list)) {
			t.Errorf("%d entries, %d skipped, %v", len(list), skipped, err)
		}
		j.end()
		next := start(t, journal.Options{Dir: dir, Size: size})
		if next.Since(0, 1)[0].Seq != list[0].Seq {
			t.Error("a restart lost entries")
		}
	})
}

// TestBrokenDisk has the directory in the way, and then no more.
func TestBrokenDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(dir, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		j := start(t, journal.Options{Dir: dir})
		j.Put(entry("a"))
		time.Sleep(time.Minute)
		j.Put(entry("b"))
		synctest.Wait()
		if got := texts(j.Since(0, 0)); len(got) != 3 || !strings.Contains(got[0], "the journal isn't written to disk, and goes on in memory") {
			t.Errorf("in memory: %q", got)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		list, _, err := journal.Read(dir)
		if err != nil || len(list) != 3 {
			t.Errorf("on disk: %q, %v", texts(list), err)
		}
		j.end()
		if n := strings.Count(j.log.String(), "level=ERROR"); n != 1 || !strings.Contains(j.log.String(), "the journal is written to disk again") {
			t.Errorf("told %d times:\n%s", n, j.log)
		}
	})
}

// TestFullDisk lets no file grow beyond a size that the journal's reaches in the
// middle of a line, as on a full disk, and then gives it room again. It does so
// in a process of its own, because go test writes files, too.
func TestFullDisk(t *testing.T) {
	const inside = "IPVSD_TEST_FULL_DISK"
	if os.Getenv(inside) == "" {
		child := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
		child.Env = append(os.Environ(), inside+"=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := start(t, journal.Options{Dir: dir})
		var free unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &free); err != nil {
			t.Fatal(err)
		}
		room := func(bytes uint64) {
			if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: free.Max}); err != nil {
				t.Fatal(err)
			}
		}
		room(250)
		for i := range 10 {
			j.Put(entry(fmt.Sprint("an entry of about a hundred bytes, number ", i)))
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		list, skipped, err := journal.Read(dir)
		if err != nil || skipped != 0 || len(list) != 2 {
			t.Errorf("while it is full: %d entries, %d half lines, %v", len(list), skipped, err)
		}
		room(free.Cur)
		time.Sleep(2 * time.Second)
		list, skipped, err = journal.Read(dir)
		if err != nil || skipped != 0 {
			t.Errorf("later: %d half lines, %v", skipped, err)
		}
		if diff := cmp.Diff(texts(j.Since(0, 0)), texts(list)); diff != "" || len(list) != 11 {
			t.Errorf("on disk later (-memory +disk):\n%s", diff)
		}
		j.end()
		if n := strings.Count(j.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("told %d times:\n%s", n, j.log)
		}
	})
}

// TestFilesAreRemoved by a hand while they are written.
func TestFilesAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := start(t, journal.Options{Dir: dir})
		j.Put(entry("a"))
		synctest.Wait()
		if err := os.Remove(filepath.Join(dir, "journal.jsonl")); err != nil {
			t.Fatal(err)
		}
		j.Put(entry("b"))
		synctest.Wait()
		want(t, "in memory", j.Since(0, 0), "1 a", "2 b")
		list, _, err := journal.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "on disk", list, "2 b")
	})
}

func TestFloodIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		j := journal.New(journal.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 5000 { // nobody takes them yet
			j.Put(entry("a"))
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := j.Run(ctx); err != nil {
			t.Fatal(err)
		}
		list := j.Since(0, 0)
		if got := list[len(list)-1]; len(list) != 4001 || got.After != journal.Lost || !strings.Contains(got.Text, "1000.") {
			t.Errorf("%d entries, the last: %+v", len(list), got)
		}
	})
}

func TestEntriesAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := start(t, journal.Options{})
		steps := make([]string, 300)
		for i := range steps {
			steps[i] = strings.Repeat("ä", 2000)
		}
		j.Put(journal.Entry{Kind: journal.Reload, Text: strings.Repeat("ö", 2000), Steps: steps})
		synctest.Wait()
		e := j.Since(0, 0)[0]
		if len(e.Steps) != 50 || e.More != 250 || len(e.Text) > 1010 || len(e.Steps[0]) > 1010 || strings.ContainsRune(e.Text+e.Steps[0], '\uFFFD') {
			t.Errorf("%d steps, %d more, text of %d, steps of %d", len(e.Steps), e.More, len(e.Text), len(e.Steps[0]))
		}
		if len(steps[0]) != 4000 {
			t.Error("who put it lost its own")
		}
	})
}

// TestQuietJournalWritesNothing compares the file's time of change over an hour.
func TestQuietJournalWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := start(t, journal.Options{Dir: dir})
		j.Put(entry("a"))
		time.Sleep(2 * time.Second)
		before, err := os.Stat(filepath.Join(dir, "journal.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		after, err := os.Stat(filepath.Join(dir, "journal.jsonl"))
		if err != nil || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("changed at %v, then at %v, %v", before.ModTime(), after.ModTime(), err)
		}
	})
}
