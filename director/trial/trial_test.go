package trial_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

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

// The Debian package's director owns neither /etc/ipvsd nor a file that root
// wrote there, and may write beside it. A trial that couldn't be taken back
// doesn't begin; once the file is the director's, it can be.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const nobody = 65534
	file := newFile(t, "new")
	dir := filepath.Dir(file)
	for parent := dir; parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	begin := func() error { return trial.Begin(file, []byte("old"), trial.Trial{}) }
	as(t, nobody, begin, "has to be able to write in its directory")
	if err := errors.Join(os.Chmod(dir, 0o775|fs.ModeSticky), os.Chown(dir, 0, nobody)); err != nil {
		t.Fatal(err)
	}
	as(t, nobody, begin, "chown ipvsd:ipvsd "+file)
	if diff := cmp.Diff(map[string]string{"ipvsd.toml": "new"}, files(t, file)); diff != "" {
		t.Error(diff)
	}
	if err := os.Chown(file, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	as(t, nobody, func() error {
		if err := begin(); err != nil {
			return err
		}
		_, err := trial.Back(file)
		return err
	}, "")
	if diff := cmp.Diff(map[string]string{"ipvsd.toml": "old", "ipvsd.toml.rejected": "new"}, files(t, file)); diff != "" {
		t.Error(diff)
	}
}

// as calls do on a thread of its own that is another user's and ends with it.
func as(t *testing.T, id uintptr, do func() error, want string) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, so that the thread isn't used again
		for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			if _, _, errno := unix.RawSyscall(call, id, id, id); errno != 0 { // package syscall's are for all threads
				done <- errno
				return
			}
		}
		done <- do()
	}()
	err := <-done
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
