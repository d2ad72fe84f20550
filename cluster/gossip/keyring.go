package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"
)

// Keyring is the keys in use. The first one encrypts what this director sends,
// any of them may have encrypted what it receives. To change the cluster's key
// without a loss, Install it everywhere, then Use it everywhere, then Remove
// the old one everywhere; Member.Keys says how far each director is.
type Keyring struct {
	mu      sync.Mutex          // one change at a time, of ring and file; readers go by memberlist's lock
	file    string              // where the keys are kept; "": nowhere
	ring    *memberlist.Keyring // nil: no encryption
	changed func()
}

func newKeyring(keys []Key, changed func()) (*Keyring, error) {
	r := &Keyring{changed: changed}
	if len(keys) == 0 {
		return r, nil
	}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("%d keys, at most %d", len(keys), maxKeys)
	}
	// Copies: memberlist keeps the slices, and a Key is the caller's.
	raw := make([][]byte, len(keys))
	for i := range keys {
		raw[i] = bytes.Clone(keys[i][:])
	}
	ring, err := memberlist.NewKeyring(raw, raw[0])
	if err != nil {
		return nil, err
	}
	r.ring = ring
	return r, nil
}

// Keys are those in use, the encrypting one first.
func (r *Keyring) Keys() []Key {
	if r.ring == nil {
		return nil
	}
	raw := r.ring.GetKeys()
	keys := make([]Key, len(raw))
	for i := range raw {
		keys[i] = Key(raw[i])
	}
	return keys
}

// errNoKeys: to begin with encryption cuts off the directors that have no key
// yet, so it is no rotation.
var (
	errNoFile = errors.New("no key file: its keys could not be kept over a restart; set [cluster] key_file")
	errNoKeys = errors.New("this cluster runs without keys: stop its directors, give all of them one and start them")
)

// Install makes a key good for what is received. Again: nothing.
func (r *Keyring) Install(k Key) error { return r.change(func() error { return r.install(k) }) }

// Use encrypts with an installed key from now on.
func (r *Keyring) Use(k Key) error { return r.change(func() error { return r.use(k) }) }

// Remove makes a key useless here. The encrypting one can't be removed. Again:
// nothing.
func (r *Keyring) Remove(k Key) error { return r.change(func() error { return r.remove(k) }) }

// Set changes to exactly these keys, the first one encrypting.
func (r *Keyring) Set(keys []Key) error { return r.change(func() error { return r.set(keys) }) }

// Load changes to exactly the keys of a file, which is the one that a rotation
// rewrites from then on. The warnings are ReadKeyFile's.
func (r *Keyring) Load(path string) (warnings []string, err error) {
	err = r.change(func() error {
		var f keyFile
		if f, warnings, err = readKeyFile(path); err != nil {
			return err
		}
		r.file = path
		return r.set(f.keys)
	})
	return warnings, err
}

// kept reads the key file, which must agree with the keys in use: a rotation
// would otherwise make something of an edit that nobody has loaded yet. A file
// that several directors share may be ahead in a rotation.
func (r *Keyring) kept() (f keyFile, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ring == nil:
		return keyFile{}, errNoKeys
	case r.file == "":
		return keyFile{}, errNoFile
	}
	if f, _, err = readKeyFile(r.file); err != nil {
		return keyFile{}, err
	}
	if f.next == "" && !sameRing(f.keys, r.Keys()) {
		return keyFile{}, unloaded(r.file)
	}
	return f, nil
}

func unloaded(file string) error {
	return fmt.Errorf("%s holds other keys than those in use; reload the director (SIGHUP) first", file)
}

// rewrite changes key file and ring together: the file first, so that a process
// that ends in between comes back with all keys that the others may use.
func (r *Keyring) rewrite(to func(keyFile) (keyFile, error)) error {
	return r.change(func() error {
		if r.file == "" {
			return errNoFile
		}
		have, _, err := readKeyFile(r.file)
		if err != nil {
			return err
		}
		want, err := to(have)
		if err != nil {
			return err
		}
		// Directors may share one file; then it is ahead of the ring.
		if same := slices.Equal(have.keys, want.keys); !same && !sameRing(have.keys, r.Keys()) {
			return unloaded(r.file)
		}
		if !have.equal(want) {
			if err := want.write(r.file); err != nil {
				return err
			}
		}
		return r.set(want.keys)
	})
}

// sameRing is whether two lists have the same keys and the same one encrypts.
func sameRing(a, b []Key) bool {
	return len(a) == len(b) && a[0] == b[0] && !slices.ContainsFunc(a, func(k Key) bool { return !slices.Contains(b, k) })
}

func (r *Keyring) set(keys []Key) error {
	if len(keys) == 0 {
		return errors.New("no key: encryption can't be turned off while the cluster runs")
	}
	for _, k := range keys {
		if err := r.install(k); err != nil {
			return err
		}
	}
	if err := r.use(keys[0]); err != nil {
		return err
	}
	for _, k := range r.Keys() {
		if !slices.Contains(keys, k) {
			if err := r.remove(k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Keyring) change(f func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ring == nil {
		return errNoKeys
	}
	err := f()
	r.changed()
	return err
}

func (r *Keyring) install(k Key) error {
	if keys := r.Keys(); !slices.Contains(keys, k) && len(keys) >= 2*maxKeys {
		return fmt.Errorf("install key %v: %d are installed; remove those that no director uses", k, len(keys))
	}
	return r.ring.AddKey(bytes.Clone(k[:]))
}

func (r *Keyring) use(k Key) error {
	if !slices.Contains(r.Keys(), k) {
		return fmt.Errorf("use key %v: not installed", k)
	}
	return r.ring.UseKey(bytes.Clone(k[:]))
}

// remove brings the key to the end before it removes it: memberlist's RemoveKey
// shifts what follows within the slice that a packet is being decrypted with
// at this moment. (So for an instant a later key encrypts; with the two keys of
// a rotation there is none.)
func (r *Keyring) remove(k Key) error {
	keys := r.Keys()
	i := slices.Index(keys, k)
	switch {
	case i < 0:
		return nil
	case i == 0:
		return fmt.Errorf("remove key %v: it encrypts; use another one first", k)
	}
	for _, later := range slices.Backward(keys[i+1:]) {
		if err := r.ring.UseKey(later[:]); err != nil {
			return err
		}
	}
	if i+1 < len(keys) {
		if err := r.ring.UseKey(keys[0][:]); err != nil {
			return err
		}
	}
	return r.ring.RemoveKey(k[:])
}
