package intent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director/table"
)

func fullBook() Book {
	m := NewMark(Key{Service: web, Real: node}, Version{7, "lb1"}, Drain, time.Unix(2_000_000_000, 0), "root", "kernel update")
	b, _ := Book{}.Merge([]Record{
		{Mark: &m},
		mark(machine(other), 8, "lb2", Disable), mark(Key{Real: other}, 9, "lb1", Enable),
		done(table.Pair{Service: web, Real: node}, 7, "lb1"),
	})
	b, _, _ = b.Use(everything)
	b, _, _ = b.Use(func(k Key) bool { return !k.Machine })
	return b
}

func TestFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if b, err := Read(dir); err != nil || b.Len() != 0 {
		t.Fatalf("no file: %d marks, %v", b.Len(), err)
	}
	want := fullBook()
	for range 2 {
		if err := want.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	got, err := Read(dir)
	if err != nil || !got.Equal(want) {
		t.Errorf("read back: %v\n%+v\nwant\n%+v", err, got, want)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("files: %v", files)
	}
}

// TestBrokenFile: it is moved aside, the start goes on, and a Peek doesn't move
// anything.
func TestBrokenFile(t *testing.T) {
	for _, text := range []string{"", "{", "\x00\x00\x00", `{"version": 99}`, `{"version":1,"records":[{"real":"x"}]}`} {
		dir := t.TempDir()
		path := filepath.Join(dir, FileName)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Peek(dir); err == nil {
			t.Errorf("%q: Peek finds nothing wrong", text)
		}
		b, err := Read(dir)
		if err == nil || !strings.Contains(err.Error(), FileName+".broken-") || b.Len() != 0 {
			t.Errorf("%q: %v", text, err)
		}
		aside, _ := filepath.Glob(path + ".broken-*")
		if len(aside) != 1 {
			t.Errorf("%q: moved aside: %v", text, aside)
		}
		if _, err := Read(dir); err != nil {
			t.Errorf("%q: the second start: %v", text, err)
		}
	}
}

func TestUnreadableDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil {
		t.Error("a file for a directory is read")
	}
	if err := fullBook().Write(dir); err == nil {
		t.Error("a file for a directory is written into")
	}
	if err := fullBook().Write(""); err != nil {
		t.Errorf("no directory: %v", err)
	}
}

func FuzzFile(f *testing.F) {
	text, err := fullBook().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"records":[],"seen":[{"Real":"10.0.0.1:80"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := decode(text)
		if err != nil {
			return
		}
		again, err := b.encode()
		if err != nil {
			t.Fatal(err)
		}
		c, err := decode(again)
		if err != nil || !c.Equal(b) {
			t.Errorf("%v\n%+v\nthen\n%+v", err, b, c)
		}
	})
}
