package realserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Record is what teardown goes back to. It lists intentions: it is on disk
// before the first change, so what it names may not have happened yet.
type Record struct {
	Version   int      `json:"version"`
	Goal      Goal     `json:"goal"`
	Sysctls   []Saved  `json:"sysctls,omitempty"`
	Links     []string `json:"links,omitempty"`     // were down, or were not there
	Addresses []Addr   `json:"addresses,omitempty"` // were not there
	Persist   string   `json:"persist,omitempty"`   // how it survives a reboot
	Files     []string `json:"files,omitempty"`     // ours
}

// Saved is a sysctl we changed: its value before the first setup, and ours.
type Saved struct {
	Key    Key    `json:"key"`
	Before string `json:"before"`
	Set    string `json:"set"`
}

const recordVersion = 1

// Exists tells whether the record stands for a setup.
func (r Record) Exists() bool { return r.Version != 0 }

// With returns the record that must be on disk before steps are carried out.
// What was recorded before is never overwritten: the first value a sysctl had
// is the one to go back to, however often setup runs.
func (r Record) With(goal Goal, steps []Step) Record {
	out := r
	out.Version = recordVersion
	out.Goal = goal
	out.Sysctls = slices.Clone(r.Sysctls)
	for _, s := range steps {
		switch s.Op {
		case OpSysctl:
			i := slices.IndexFunc(out.Sysctls, func(v Saved) bool { return v.Key == s.Key })
			if i < 0 {
				out.Sysctls = append(out.Sysctls, Saved{s.Key, s.Old, s.New})
			} else {
				out.Sysctls[i].Set = s.New
			}
		case OpLink:
			out.Links = with(out.Links, s.Link)
		case OpAdd:
			i := slices.IndexFunc(out.Addresses, func(a Addr) bool { return a.Prefix == s.Addr.Prefix && a.Link == s.Addr.Link })
			out.Addresses = slices.Clone(out.Addresses)
			if i < 0 {
				out.Addresses = append(out.Addresses, s.Addr)
			} else {
				out.Addresses[i].Label = s.Addr.Label
			}
		case OpWrite:
			out.Files = with(out.Files, s.File.Path)
		}
	}
	return out
}

// with returns a copy of list that contains item.
func with(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	return append(slices.Clone(list), item)
}

// loadRecord reads the record; a missing file is an empty record.
func loadRecord(path string) (Record, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, fmt.Errorf("read the record: %v", err)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("read the record %s: %v; it says what teardown has to put back: "+
			"repair it, or delete it and undo by hand", path, err)
	}
	if r.Version != recordVersion {
		return Record{}, fmt.Errorf("read the record %s: its version is %d, this ipvsd knows %d: "+
			"use the ipvsd that wrote it", path, r.Version, recordVersion)
	}
	// Root acts on this file, and the director's user owns its folder.
	for _, s := range r.Sysctls {
		if !strings.HasPrefix(filepath.Clean(string(s.Key)), "net/") {
			return Record{}, fmt.Errorf("read the record %s: %q is no setting of the network: "+
				"repair it, or delete it and undo by hand", path, s.Key)
		}
	}
	for _, name := range r.Files {
		if name != filepath.Clean(name) || !strings.HasPrefix(name, "/etc/") || strings.HasPrefix(name, "/etc/ipvsd/") {
			return Record{}, fmt.Errorf("read the record %s: %q is no file that setup writes: "+
				"repair it, or delete it and undo by hand", path, name)
		}
	}
	return r, nil
}

// saveRecord replaces the record in one moment and returns when it is on disk.
func saveRecord(path string, r Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	if err := writeAtomic(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	return nil
}

// writeAtomic writes a file under a temporary name and renames it, synced.
func writeAtomic(path string, data []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".ipvsd-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
