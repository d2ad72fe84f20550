package gossip

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/memberlist"
)

// Key is one shared secret, for AES-256-GCM. It prints as its fingerprint.
type Key [32]byte

// maxKeys is as many as a rotation ever needs, and their fingerprints fit in
// the metadata.
const maxKeys = 8

const fingerprintSize = 4

// fingerprint may be shown and logged.
func (k Key) fingerprint() [fingerprintSize]byte {
	sum := sha256.Sum256(append([]byte("ipvsd cluster key fingerprint\x00"), k[:]...))
	return [fingerprintSize]byte(sum[:fingerprintSize])
}

// String is the key's fingerprint, never the key.
func (k Key) String() string {
	f := k.fingerprint()
	return hex.EncodeToString(f[:])
}

// GoString keeps the key out of %#v too.
func (k Key) GoString() string { return "gossip.Key(" + k.String() + ")" }

// Format keeps it out of every other verb.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// GenerateKey makes a line for the key file: 32 random bytes in base64.
func GenerateKey() string {
	var k Key
	_, _ = rand.Read(k[:]) // never fails, says its documentation
	return base64.StdEncoding.EncodeToString(k[:])
}

// ParseKey reads what GenerateKey wrote.
func ParseKey(s string) (Key, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	switch {
	case err != nil:
		return Key{}, errors.New("not base64") // err quotes nothing, but its offset tells of the key
	case len(b) != len(Key{}):
		return Key{}, fmt.Errorf("%d bytes instead of %d", len(b), len(Key{}))
	case Key(b) == Key{}:
		return Key{}, errors.New("all zeros")
	}
	return Key(b), nil
}

// maxKeyFile guards against a path that names something else.
const maxKeyFile = 64 << 10

// ReadKeyFile reads a key a line; the first one encrypts. Empty lines and
// those that begin with # are skipped. The warnings are legal but unwise.
func ReadKeyFile(path string) (keys []Key, warnings []string, err error) {
	const cure = "write one with `ipvsd cluster keygen`"
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s: no such key file; %s", path, cure)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("key file: %v", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("key file: %v", err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: not a file; %s", path, cure)
	}
	if m := info.Mode().Perm(); m&0o077 != 0 {
		warnings = append(warnings, fmt.Sprintf("%s: others than its owner may use it (mode %04o); chmod 600 %s", path, m, path))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("key file: %v", err)
	}
	if len(data) > maxKeyFile {
		return nil, nil, fmt.Errorf("%s: too long for a key file; %s", path, cure)
	}
	var errs []error
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := ParseKey(line)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s:%d: %v; a key is 32 random bytes in base64: %s", path, n, err, cure))
		case slices.Contains(keys, k):
			warnings = append(warnings, fmt.Sprintf("%s:%d: the same key again", path, n))
		case len(keys) == maxKeys:
			errs = append(errs, fmt.Errorf("%s:%d: more than %d keys; remove those that no director uses", path, n, maxKeys))
		default:
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: no key in it; %s", path, cure))
	}
	if len(errs) > 0 {
		return nil, warnings, errors.Join(errs...)
	}
	return keys, warnings, nil
}

// Keyring is the keys in use. The first one encrypts what this director sends,
// any of them may have encrypted what it receives. To change the cluster's key
// without a loss, Install it everywhere, then Use it everywhere, then Remove
// the old one everywhere; Member.Keys says how far each director is.
type Keyring struct {
	mu      sync.Mutex          // one change at a time; readers go by memberlist's lock
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
var errNoKeys = errors.New("this cluster runs without keys: stop its directors, give all of them one and start them")

// Install makes a key good for what is received. Again: nothing.
func (r *Keyring) Install(k Key) error { return r.change(func() error { return r.install(k) }) }

// Use encrypts with an installed key from now on.
func (r *Keyring) Use(k Key) error { return r.change(func() error { return r.use(k) }) }

// Remove makes a key useless here. The encrypting one can't be removed. Again:
// nothing.
func (r *Keyring) Remove(k Key) error { return r.change(func() error { return r.remove(k) }) }

// Set changes to exactly these keys, the first one encrypting: what a changed
// key file says.
func (r *Keyring) Set(keys []Key) error {
	return r.change(func() error {
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
	})
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
