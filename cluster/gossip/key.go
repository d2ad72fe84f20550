package gossip

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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

// newKey makes a key of 32 random bytes.
func newKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // never fails, says its documentation
	return k
}

// GenerateKey makes a line for the key file: 32 random bytes in base64.
func GenerateKey() string { return newKey().line() }

// line is the key itself, for the key file and for nothing else.
func (k Key) line() string { return base64.StdEncoding.EncodeToString(k[:]) }

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
