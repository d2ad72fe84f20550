package trial_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/trial"
)

func newFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ipvsd.toml")
	if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return file
}

func begin(t *testing.T, file string) trial.Trial {
	t.Helper()
	want := trial.Trial{Deadline: time.Now().Add(5 * time.Minute).UTC().Truncate(time.Second), By: "ann"}
	if err := trial.Begin(file, []byte("old"), want); err != nil {
		t.Fatal(err)
	}
	return want
}

func running(t *testing.T, file string) *trial.Trial {
	t.Helper()
	got, err := trial.Running(file)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// files are the contents of the directory by name.
func files(t *testing.T, file string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(file), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(b)
	}
	return out
}

func TestConfirm(t *testing.T) {
	file := newFile(t, "new")
	if got := running(t, file); got != nil {
		t.Errorf("on trial before: %+v", got)
	}
	want := begin(t, file)
	if diff := cmp.Diff(&want, running(t, file)); diff != "" {
		t.Error(diff)
	}
	if err := trial.Confirm(file); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"ipvsd.toml": "new"}, files(t, file)); diff != "" {
		t.Error(diff)
	}
	if got := running(t, file); got != nil {
		t.Errorf("still on trial: %+v", got)
	}
}

func TestBack(t *testing.T) {
	file := newFile(t, "new")
	begin(t, file)
	kept, err := trial.Back(file)
	if err != nil || kept != file+".rejected" {
		t.Fatalf("%q, %v", kept, err)
	}
	if diff := cmp.Diff(map[string]string{"ipvsd.toml": "old", "ipvsd.toml.rejected": "new"}, files(t, file)); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A link that points to the file goes on pointing to it.
func TestLink(t *testing.T) {
	file := newFile(t, "new")
	link := filepath.Join(t.TempDir(), "link.toml")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	begin(t, link)
	if running(t, file) == nil {
		t.Error("the trial isn't the file's")
	}
	if _, err := trial.Back(link); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "old" {
		t.Errorf("%q, %v", b, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("%v, %v", info, err)
	}
}

// A crash in Back after the old file is in its place leaves no trial.
func TestBackCutShort(t *testing.T) {
	file := newFile(t, "new")
	begin(t, file)
	if err := os.Rename(file+".confirmed", file); err != nil {
		t.Fatal(err)
	}
	if got := running(t, file); got != nil {
		t.Errorf("on trial: %+v", got)
	}
	if _, err := os.Stat(file + ".trial"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the note stays: %v", err)
	}
}

func TestUnreadableNote(t *testing.T) {
	file := newFile(t, "new")
	begin(t, file)
	if err := os.WriteFile(file+".trial", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := trial.Running(file); err == nil || got != nil {
		t.Errorf("%+v, %v", got, err)
	}
}
