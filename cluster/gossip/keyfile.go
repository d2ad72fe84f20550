package gossip

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// keyFile is what a key file says. A rotation under way is written down in it,
// so that it can be gone on with after a restart of any director.
type keyFile struct {
	keys     []Key    // the first one encrypts
	next     string   // the fingerprint of the key that is being rotated to; "": none
	comments []string // of the operator
}

// maxKeyFile guards against a path that names something else.
const maxKeyFile = 64 << 10

// rotating begins the line that holds keyFile.next.
const rotating = "# ipvsd cluster rotate, not finished: the new key is "

// ReadKeyFile reads a key a line; the first one encrypts. Empty lines and
// those that begin with # are skipped. The warnings are legal but unwise.
func ReadKeyFile(path string) (keys []Key, warnings []string, err error) {
	f, warnings, err := readKeyFile(path)
	return f.keys, warnings, err
}

func readKeyFile(path string) (kf keyFile, warnings []string, err error) {
	const cure = "write one with `ipvsd cluster keygen`"
	data, mode, err := readSmall(path, cure)
	if err != nil {
		return keyFile{}, nil, err
	}
	if m := mode.Perm(); m&0o077 != 0 {
		warnings = append(warnings, fmt.Sprintf("%s: others than its owner may use it (mode %04o); chmod 600 %s", path, m, path))
	}
	var errs []error
	n := 0
	for line := range strings.Lines(data) {
		n++
		line = strings.TrimSpace(line)
		if next, ok := strings.CutPrefix(line, rotating); ok {
			kf.next = next
			continue
		}
		if strings.HasPrefix(line, "#") {
			kf.comments = append(kf.comments, line)
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := ParseKey(line)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s:%d: %v; a key is 32 random bytes in base64: %s", path, n, err, cure))
		case slices.Contains(kf.keys, k):
			warnings = append(warnings, fmt.Sprintf("%s:%d: the same key again", path, n))
		case len(kf.keys) == maxKeys:
			errs = append(errs, fmt.Errorf("%s:%d: more than %d keys; remove those that no director uses", path, n, maxKeys))
		default:
			kf.keys = append(kf.keys, k)
		}
	}
	if len(kf.keys) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: no key in it; %s", path, cure))
	}
	if len(errs) > 0 {
		return keyFile{}, warnings, errors.Join(errs...)
	}
	return kf, warnings, nil
}

func readSmall(path, cure string) (string, os.FileMode, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", 0, fmt.Errorf("%s: no such key file; %s", path, cure)
	}
	if errors.Is(err, os.ErrPermission) {
		return "", 0, fmt.Errorf("key file: %v; it belongs to the user that the director runs as: chown ipvsd %s", err, path)
	}
	if err != nil {
		return "", 0, fmt.Errorf("key file: %v", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", 0, fmt.Errorf("key file: %v", err)
	}
	if !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s: not a file; %s", path, cure)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return "", 0, fmt.Errorf("key file: %v", err)
	}
	if len(data) > maxKeyFile {
		return "", 0, fmt.Errorf("%s: too long for a key file; %s", path, cure)
	}
	return string(data), info.Mode(), nil
}

// find returns the key with a fingerprint.
func (f keyFile) find(fingerprint string) (Key, bool) {
	i := slices.IndexFunc(f.keys, func(k Key) bool { return k.String() == fingerprint })
	if i < 0 {
		return Key{}, false
	}
	return f.keys[i], true
}

func (f keyFile) equal(o keyFile) bool {
	return slices.Equal(f.keys, o.keys) && f.next == o.next && slices.Equal(f.comments, o.comments)
}

// write replaces the file in one go, readable by its owner only: a crash leaves
// the old one or the new one. A symbolic link goes on pointing to it.
func (f keyFile) write(path string) (err error) {
	defer func() {
		if err != nil {
			cure := ""
			if errors.Is(err, syscall.EROFS) {
				cure = "; systemd keeps it from being written: add its directory to ReadWritePaths of ipvsd.service"
			}
			err = fmt.Errorf("write key file: %v%s", err, cure)
		}
	}()
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	lines := slices.Clone(f.comments)
	if f.next != "" {
		lines = append(lines, rotating+f.next)
	}
	for _, k := range f.keys {
		lines = append(lines, k.line())
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".cluster-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.WriteString(strings.Join(lines, "\n") + "\n")
	if err = errors.Join(err, keepOwner(tmp, path), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// keepOwner gives the new file to whom the old one belongs.
func keepOwner(tmp *os.File, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(s.Uid) == os.Geteuid() && (int(s.Gid) == os.Getegid() || os.Geteuid() != 0) {
		return nil // who isn't root can't give it to another group, and only its owner reads it
	}
	return tmp.Chown(int(s.Uid), int(s.Gid))
}
