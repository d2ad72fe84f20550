package gossip

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// rotation is a director's own part in a change of the cluster's key: it does
// what Rotate of any director asks for. What can't be undone it does only where
// its key file says that the step before was done.
//
// The new key travels sealed for one process (X25519, AES-GCM) within the
// encrypted message: who has the old key and listens doesn't learn it. Who has
// the old key and stands in between could.
type rotation struct {
	ring *Keyring
	log  *slog.Logger
	own  *ecdh.PrivateKey // new at each start
}

func newRotation(r *Keyring, log *slog.Logger) (*rotation, error) {
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	return &rotation{ring: r, log: log, own: own}, err
}

// The steps of a rotation, as they are asked for and as they are told.
const (
	stepReady   = "ready"
	stepInstall = "install"
	stepUse     = "use"
	stepDrop    = "drop"
)

var stepBytes = map[string]byte{stepReady: 'r', stepInstall: 'i', stepUse: 'u', stepDrop: 'd'}

// The first byte of a reply; the rest of a refusal is its reason.
const (
	refused byte = 0
	done    byte = 1
)

// stand is how far a director is.
type stand struct {
	keys []string // fingerprints, the encrypting one first
	next string   // of the rotation that its key file tells of; "": none
	to   *ecdh.PublicKey
}

const pointSize = 32

// encode: public key 32 | length 1, next | keys 1, length 1 and
// fingerprint each.
func (s stand) encode() []byte {
	b := append(s.to.Bytes(), byte(len(s.next)))
	b = append(append(b, s.next...), byte(len(s.keys)))
	for _, k := range s.keys {
		b = append(append(b, byte(len(k))), k...)
	}
	return b
}

func decodeStand(b []byte) (s stand, err error) {
	if len(b) < pointSize {
		return stand{}, errShort
	}
	if s.to, err = ecdh.X25519().NewPublicKey(b[:pointSize]); err != nil {
		return stand{}, err
	}
	next, b, ok := counted(b[pointSize:])
	if !ok || len(b) == 0 || b[0] == 0 {
		return stand{}, errShort
	}
	s.next = string(next)
	n, b := b[0], b[1:]
	for range n {
		var k []byte
		if k, b, ok = counted(b); !ok {
			return stand{}, errShort
		}
		s.keys = append(s.keys, string(k))
	}
	return s, nil
}

// reply carries out a step that another director asks for.
func (r *rotation) reply(q question) []byte {
	no := func(err error) []byte {
		b := append([]byte{refused}, err.Error()...)
		return b[:min(len(b), maxQuestion)]
	}
	if len(q.body) == 0 {
		return nil
	}
	step, body := q.body[0], q.body[1:]
	switch step {
	case stepBytes[stepReady]:
		s, err := r.stand()
		if err != nil {
			return no(err)
		}
		return append([]byte{done}, s.encode()...)
	case stepBytes[stepInstall]:
		k, anew, err := r.open(body)
		if err == nil {
			err = r.install(k, anew, q.from)
		}
		if err != nil {
			return no(err)
		}
	case stepBytes[stepUse]:
		if err := r.use(string(body), q.from); err != nil {
			return no(err)
		}
	case stepBytes[stepDrop]:
		if err := r.drop(string(body), q.from); err != nil {
			return no(err)
		}
	default:
		return no(errors.New("this version of ipvsd doesn't know that step"))
	}
	return []byte{done}
}

// stand tells how far this director is, and fails where it couldn't take part.
func (r *rotation) stand() (stand, error) {
	f, err := r.ring.kept()
	s := stand{to: r.own.PublicKey(), next: f.next}
	for _, k := range f.keys {
		s.keys = append(s.keys, k.String())
	}
	return s, err
}

// install makes the new key good for what is received. anew gives up another
// rotation that wasn't finished.
func (r *rotation) install(k Key, anew bool, from string) error {
	return r.carryOut(stepInstall, k.String(), from, func(f keyFile) (keyFile, error) {
		if f.next != "" && f.next != k.String() && !anew {
			return f, fmt.Errorf("a rotation to key %s isn't finished here", f.next)
		}
		if f.next != k.String() && sameRing(f.keys, []Key{k}) {
			return f, nil // it is through already
		}
		if !slices.Contains(f.keys, k) {
			if len(f.keys) == maxKeys {
				return f, fmt.Errorf("%d keys are in use here; remove those that no director needs", maxKeys)
			}
			f.keys = append(slices.Clone(f.keys), k)
		}
		f.next = k.String()
		return f, nil
	})
}

// use encrypts with the new key.
func (r *rotation) use(key, from string) error {
	return r.carryOut(stepUse, key, from, func(f keyFile) (keyFile, error) {
		k, err := f.underWay(key)
		if err != nil {
			return f, err
		}
		rest := slices.DeleteFunc(slices.Clone(f.keys), func(o Key) bool { return o == k })
		f.keys = append([]Key{k}, rest...)
		return f, nil
	})
}

// drop makes all other keys useless.
func (r *rotation) drop(key, from string) error {
	return r.carryOut(stepDrop, key, from, func(f keyFile) (keyFile, error) {
		k, err := f.underWay(key)
		if err != nil {
			return f, err
		}
		if f.keys[0] != k {
			return f, fmt.Errorf("key %s doesn't encrypt here yet", key)
		}
		f.keys, f.next = []Key{k}, ""
		return f, nil
	})
}

// underWay finds the key to which this director is being rotated, or was.
func (f keyFile) underWay(key string) (Key, error) {
	k, ok := f.find(key)
	switch {
	case !ok:
		return Key{}, fmt.Errorf("key %s isn't installed here", key)
	case f.next != key && (f.next != "" || f.keys[0] != k):
		return Key{}, fmt.Errorf("the rotation to key %s is none of this director's any more", key)
	}
	return k, nil
}

func (r *rotation) carryOut(step, key, from string, to func(keyFile) (keyFile, error)) error {
	err := r.ring.rewrite(to)
	if err != nil {
		r.log.Warn("rotation of the cluster's key refused", "step", step, "key", key, "asked_by", from, "err", err)
		return err
	}
	r.log.Info("rotation of the cluster's key", "step", step, "key", key, "asked_by", from)
	return nil
}

// seal encrypts a key for the process with that public key: our public key 32 |
// sealed. Whether to begin anew is sealed with it.
func (r *rotation) seal(to *ecdh.PublicKey, k Key, anew bool) ([]byte, error) {
	box, err := r.box(to, r.own.PublicKey(), to)
	if err != nil {
		return nil, err
	}
	text := append(k[:], 0)
	if anew {
		text[len(k)] = 1
	}
	return box.Seal(r.own.PublicKey().Bytes(), nil, text, nil), nil
}

func (r *rotation) open(b []byte) (k Key, anew bool, err error) {
	if len(b) < pointSize {
		return Key{}, false, errShort
	}
	from, err := ecdh.X25519().NewPublicKey(b[:pointSize])
	if err != nil {
		return Key{}, false, err
	}
	box, err := r.box(from, from, r.own.PublicKey())
	if err != nil {
		return Key{}, false, err
	}
	text, err := box.Open(nil, nil, b[pointSize:], nil)
	if err != nil || len(text) != len(k)+1 {
		return Key{}, false, errors.New("the key was sealed for another process; try again")
	}
	copy(k[:], text)
	return k, text[len(k)] == 1, nil
}

// box is the cipher between us and the other, from one of us to the other.
func (r *rotation) box(other, from, to *ecdh.PublicKey) (cipher.AEAD, error) {
	shared, err := r.own.ECDH(other)
	if err != nil {
		return nil, err
	}
	secret, err := hkdf.Key(sha256.New, shared, bytes.Join([][]byte{from.Bytes(), to.Bytes()}, nil), "ipvsd cluster rotate", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
