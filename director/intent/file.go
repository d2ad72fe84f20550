package intent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// FileName is the file's in [director] state_dir.
const FileName = "intents.json"

// file is the book on disk.
type file struct {
	Version int      `json:"version"`
	Records []Record `json:"records"`
	Seen    []Key    `json:"seen,omitempty"`
	Over    []over   `json:"over,omitempty"`
}

type over struct {
	Key     Key     `json:"key"`
	Version Version `json:"version"`
}

const fileVersion = 1

// Read reads the book in dir; "" has none. A missing file is an empty book. One
// that can't be understood is moved aside, so that the next write doesn't
// destroy what a person may still read in it; the error says where it is, and
// the book is empty.
func Read(dir string) (Book, error) {
	if dir == "" {
		return Book{}, nil
	}
	path := filepath.Join(dir, FileName)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Book{}, nil
	case err != nil:
		return Book{}, fmt.Errorf("read the operators' wishes: %w", err)
	}
	book, err := decode(b)
	if err == nil {
		return book, nil
	}
	aside := fmt.Sprintf("%s.broken-%s", path, time.Now().UTC().Format("20060102T150405"))
	if moved := os.Rename(path, aside); moved != nil {
		return Book{}, fmt.Errorf("%s is broken (%v) and can't be moved aside: %v", path, err, moved)
	}
	return Book{}, fmt.Errorf("%s was broken (%v); it is %s now", path, err, aside)
}

// Peek reads the book in dir and leaves the file alone whatever is in it.
func Peek(dir string) (Book, error) {
	if dir == "" {
		return Book{}, nil
	}
	b, err := os.ReadFile(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return Book{}, nil
	}
	if err != nil {
		return Book{}, fmt.Errorf("read the operators' wishes: %w", err)
	}
	return decode(b)
}

func decode(b []byte) (Book, error) {
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return Book{}, err
	}
	if f.Version != fileVersion {
		return Book{}, fmt.Errorf("version %d, and this ipvsd reads %d", f.Version, fileVersion)
	}
	own := Book{seen: map[Key]bool{}, over: map[Key]Version{}}
	for _, k := range f.Seen {
		own.seen[k] = true
	}
	for _, o := range f.Over {
		own.over[o.Key] = o.Version
	}
	book, _ := own.Merge(f.Records)
	return book, nil
}

func (b Book) encode() ([]byte, error) {
	f := file{Version: fileVersion, Records: b.Records()}
	for k := range b.seen {
		f.Seen = append(f.Seen, k)
	}
	for k, v := range b.over {
		f.Over = append(f.Over, over{k, v})
	}
	slices.SortFunc(f.Seen, Key.compare)
	slices.SortFunc(f.Over, func(a, b over) int { return a.Key.compare(b.Key) })
	text, err := json.MarshalIndent(f, "", "  ")
	return append(text, '\n'), err
}

// Write replaces the file in dir, whole or not at all, also over a power cut:
// who was told that a server is out must find it out. It is for root only, since
// operators' names and reasons are in it.
func (b Book) Write(dir string) error {
	if dir == "" {
		return nil
	}
	text, err := b.encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, FileName)
	if err := writeSynced(path+".new", text); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o600) // one that lay there already keeps its own mode
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
