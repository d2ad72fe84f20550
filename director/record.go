package director

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ipvsd/ipvsd/director/table"
)

// record remembers on disk which virtual services are ours, so that one that
// left the file while no director ran is still removed, and one that somebody
// else made is never touched. It is written before the kernel is.
type record struct {
	path  string // "" keeps it in memory
	owned map[table.ServiceKey]bool
}

type recordFile struct {
	Services []table.ServiceKey `json:"services"`
}

// readRecord reads the record in dir. A missing one is empty; a broken one is an
// error together with an empty record, because traffic must not wait for it.
func readRecord(dir string) (*record, error) {
	r := &record{owned: map[table.ServiceKey]bool{}}
	if dir == "" {
		return r, nil
	}
	r.path = filepath.Join(dir, "services.json")
	b, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	var f recordFile
	if err := json.Unmarshal(b, &f); err != nil {
		return r, fmt.Errorf("read %s: %v", r.path, err)
	}
	for _, k := range f.Services {
		r.owned[k] = true
	}
	return r, nil
}

// ReadOwned returns the virtual services that a director with this state
// directory made.
func ReadOwned(dir string) (map[table.ServiceKey]bool, error) {
	r, err := readRecord(dir)
	return r.owned, err
}

func (r *record) has(k table.ServiceKey) bool { return r.owned[k] }

// set makes owned exactly keys, on disk first.
func (r *record) set(keys map[table.ServiceKey]bool) error {
	if len(keys) == len(r.owned) {
		same := true
		for k := range keys {
			same = same && r.owned[k]
		}
		if same {
			return nil
		}
	}
	if err := r.write(keys); err != nil {
		return err
	}
	r.owned = keys
	return nil
}

func (r *record) write(keys map[table.ServiceKey]bool) error {
	if r.path == "" {
		return nil
	}
	f := recordFile{Services: make([]table.ServiceKey, 0, len(keys))}
	for k := range keys {
		f.Services = append(f.Services, k)
	}
	slices.SortFunc(f.Services, func(a, b table.ServiceKey) int { return strings.Compare(a.String(), b.String()) })
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.path), 0o755); err != nil {
		return err
	}
	return replaceFile(r.path, append(b, '\n'))
}

// replaceFile makes the file whole or not at all, also over a power cut.
func replaceFile(path string, content []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
