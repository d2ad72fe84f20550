package checker

import (
	"crypto/tls"
	"fmt"
	"os"
	"strings"
)

// fileError tells that a file of ours can't be used, which is not the server's
// fault.
type fileError struct {
	what string // "CA file"
	err  error
}

func (e *fileError) Error() string { return e.what + ": " + e.err.Error() }

// maxSecret bounds a file with a password: more is a mistake.
const maxSecret = 4 << 10

// ReadSecret returns what a file holds, without the end of its line. No error
// shows what is in it.
func ReadSecret(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case text == "":
		return "", fmt.Errorf("%s is empty", file)
	case len(text) > maxSecret:
		return "", fmt.Errorf("%s is too long to be one", file)
	case strings.ContainsAny(text, "\r\n\x00"):
		return "", fmt.Errorf("%s holds more than one line", file)
	}
	return text, nil
}

// password returns the Spec's, "" where it has none. It is read at each check,
// so that a new one needs no reload.
func (s *Spec) password() (string, error) { return secretOf("password file", s.PasswordFile) }

// secret returns the Spec's, which both sides know, in the same way.
func (s *Spec) secret() (string, error) { return secretOf("secret file", s.SecretFile) }

func secretOf(what, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := ReadSecret(file)
	if err != nil {
		return "", &fileError{what, err}
	}
	return text, nil
}

// readPair reads a certificate with its key.
func readPair(cert, key string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %s", cert, key, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &pair, nil
}
