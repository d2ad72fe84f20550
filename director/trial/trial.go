// Package trial lets a changed file run on trial: unless somebody confirms it
// in time, the file that ran before comes back, also over a restart and a crash
// of the director or of the machine. What is known of a trial lies beside the
// file, so that it is found whatever the file itself says:
//
//	FILE.confirmed   the file to go back to
//	FILE.trial       until when, and who began it
//	FILE.rejected    after a trial that failed: what was on trial
//
// It owns these three and writes FILE only to bring the old one back. Nothing
// here is for concurrent use.
package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Trial is a file on trial.
type Trial struct {
	Deadline time.Time `json:"deadline"` // when the file before comes back
	By       string    `json:"by"`       // who began it
}

const (
	confirmed = ".confirmed"
	running   = ".trial"
	rejected  = ".rejected"
)

// Begin notes a trial of what is in the file now; before is what it held when
// it ran last. A power cut leaves the whole trial or none.
func Begin(file string, before []byte, t Trial) error {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return fmt.Errorf("begin the trial: %v", err)
	}
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("begin the trial: %v", err)
	}
	if err := write(path+confirmed, before, path); err != nil {
		return fmt.Errorf("begin the trial: keep the running file: %w", explained(err, path))
	}
	if err := write(path+running, append(b, '\n'), path); err != nil {
		return fmt.Errorf("begin the trial: %w", errors.Join(explained(err, path), os.Remove(path+confirmed)))
	}
	return nil
}

// Running is the trial of a file; nil where there is none.
func Running(file string) (*Trial, error) {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return nil, nil // a file that isn't there is on no trial
	}
	b, err := os.ReadFile(path + running)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the trial: %v", err)
	}
	if _, err := os.Stat(path + confirmed); errors.Is(err, fs.ErrNotExist) {
		return nil, remove(path + running) // Back was cut short after it was done
	}
	t := &Trial{}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("read the trial: %s: %v; remove it to confirm the file as it is", path+running, err)
	}
	return t, nil
}

// Confirm ends the trial: the file stays.
func Confirm(file string) error {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return fmt.Errorf("confirm: %v", err)
	}
	if err := errors.Join(remove(path+running), remove(path+confirmed)); err != nil {
		return fmt.Errorf("confirm: %v", err)
	}
	return nil
}

// Back ends the trial: the file before is back in its place. What was on trial
// is kept under the name that it returns.
func Back(file string) (kept string, err error) {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return "", fmt.Errorf("bring the file back: %v", err)
	}
	tried, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("bring the file back: %v", err)
	}
	if err := write(path+rejected, tried, path); err != nil {
		return "", fmt.Errorf("bring the file back: keep what was on trial: %w", explained(err, path))
	}
	if err := os.Rename(path+confirmed, path); err != nil {
		return "", fmt.Errorf("bring the file back: %w", explained(err, path))
	}
	return path + rejected, remove(path + running)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// explained adds what to do where the directory can't be written, or where the
// file belongs to somebody else: Begin finds that out, because it can't give a
// copy to the file's owner, and not Back, when it is too late.
func explained(err error, path string) error {
	switch {
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; add its directory to ReadWritePaths of ipvsd.service", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; the user that the director runs as has to be able to write in its directory", err)
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%w; the file before could not be put back, because only who owns the file may: give it to the user that "+
			"the director runs as, such as chown ipvsd:ipvsd %s", err, path)
	}
	return err
}

// write makes a file whole or not at all, with the owner and mode of another.
func write(path string, content []byte, like string) (err error) {
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(content)
	if s, ok := info.Sys().(*syscall.Stat_t); ok && (int(s.Uid) != os.Geteuid() || int(s.Gid) != os.Getegid()) {
		err = errors.Join(err, tmp.Chown(int(s.Uid), int(s.Gid)))
	}
	if err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
