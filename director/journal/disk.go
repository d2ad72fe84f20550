package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of the ring, in the state directory.
const (
	newerFile = "journal.jsonl"
	olderFile = "journal.old.jsonl"
)

// maxBacklog is how many bytes wait while the disk takes none.
const maxBacklog = 1 << 20

// disk is the ring's part on disk. Only Run's goroutine uses it.
type disk struct {
	dir  string
	size int64 // of both files

	file    *os.File // nil: not open, tried again by the next write
	written int64    // bytes in file that are whole lines
	backlog []byte   // whole lines that aren't in file yet
	dirty   bool     // something is in file that may not be on the disk
}

// open reads both files and opens the newer one. What it can't read it leaves
// out; the entries and the error may both be there.
func (d *disk) open() (list []Entry, skipped int, err error) {
	if d.dir == "" {
		return nil, 0, nil
	}
	list, skipped, err = Read(d.dir)
	return list, skipped, errors.Join(err, d.reopen())
}

// reopen opens the newer file behind its last whole line: a line that a crash
// or a full disk left half is cut off.
func (d *disk) reopen() error {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(d.dir, newerFile)
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	d.written = int64(bytes.LastIndexByte(b, '\n') + 1)
	if d.written < int64(len(b)) {
		if err := f.Truncate(d.written); err != nil {
			_ = f.Close()
			return err
		}
	}
	d.file = f
	return nil
}

// append writes entries behind those that wait already.
func (d *disk) append(list []Entry) error {
	if d.dir == "" {
		return nil
	}
	for _, e := range list {
		b, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("entry %d: %v", e.Seq, err) // a clock beyond the year 9999
		}
		d.backlog = append(append(d.backlog, b...), '\n')
	}
	err := d.save()
	for err != nil && len(d.backlog) > maxBacklog {
		d.backlog = d.backlog[bytes.IndexByte(d.backlog, '\n')+1:]
	}
	return err
}

// save gives the backlog to the kernel.
func (d *disk) save() error {
	if len(d.backlog) == 0 {
		return nil
	}
	if d.file != nil && !d.inPlace() {
		d.close()
	}
	if d.file == nil {
		if err := d.reopen(); err != nil {
			return err
		}
	}
	if d.written > 0 && d.written+int64(len(d.backlog)) > d.size/2 {
		if err := d.turnOver(); err != nil {
			return err
		}
	}
	if _, err := d.file.Write(d.backlog); err != nil {
		// What is half there is cut off, now or when it is opened again.
		_ = d.file.Truncate(d.written)
		d.close()
		return err
	}
	d.written += int64(len(d.backlog))
	d.backlog, d.dirty = nil, true
	return nil
}

// inPlace says whether the open file is still the one in the directory, and not
// one that a hand removed.
func (d *disk) inPlace() bool {
	here, err := os.Stat(filepath.Join(d.dir, newerFile))
	if err != nil {
		return false
	}
	open, err := d.file.Stat()
	return err == nil && os.SameFile(here, open)
}

// turnOver makes the newer file the older one and begins another.
func (d *disk) turnOver() error {
	d.close()
	newer := filepath.Join(d.dir, newerFile)
	if err := os.Rename(newer, filepath.Join(d.dir, olderFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.reopen()
}

// unsaved says whether flush has something to do.
func (d *disk) unsaved() bool { return d.dirty || len(d.backlog) > 0 }

// flush brings everything to the disk itself.
func (d *disk) flush() error {
	if err := d.save(); err != nil {
		return err
	}
	if !d.dirty || d.file == nil {
		return nil
	}
	d.dirty = false
	return d.file.Sync()
}

func (d *disk) close() {
	if d.file != nil {
		_ = d.file.Close() // what it couldn't write, Sync or Write has said
		d.file = nil
	}
}

// Read reads the ring in a state directory, the oldest entry first, also while a
// director writes there. Lines that are half or no entries are left out and
// counted. A ring that isn't there is empty.
func Read(dir string) (list []Entry, skipped int, err error) {
	for _, name := range []string{olderFile, newerFile} {
		b, readErr := os.ReadFile(filepath.Join(dir, name))
		if readErr != nil {
			if !errors.Is(readErr, fs.ErrNotExist) {
				err = errors.Join(err, fmt.Errorf("read the journal: %w", readErr))
			}
			continue
		}
		n := 0
		list, n = decode(list, b)
		skipped += n
	}
	return list, skipped, err
}

// decode adds the entries in b to list. A line without its end is half, and a
// number that isn't behind the one before is no entry of this ring.
func decode(list []Entry, b []byte) ([]Entry, int) {
	skipped := 0
	for line := range bytes.Lines(b) {
		var e Entry
		err := json.Unmarshal(line, &e)
		if err != nil || line[len(line)-1] != '\n' || e.Seq == 0 || e.Text == "" || len(list) > 0 && e.Seq <= list[len(list)-1].Seq {
			skipped++
			continue
		}
		list = append(list, e.fit())
	}
	return list, skipped
}
