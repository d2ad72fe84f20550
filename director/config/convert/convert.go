// Package convert is the vocabulary of the importers: what they are given and
// what they return. Each format has a package below this one with
//
//	func Convert(files []convert.File, opts convert.Options) convert.Result
//
// which is pure but for the functions in Options: it reads no file, asks no
// resolver and prints nothing by itself. What it can't carry over it says in a
// Note of the line where it stood, and goes on; it never fails. The document
// that it returns validates with director/config whatever it was given: what
// can't be made valid is left in it as a comment (emit's Off).
//
// Package emit writes the document.
package convert

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// File is one file to import.
type File struct {
	Name string // as the user wrote it
	Data []byte
}

// Note is one remark about one line of a file.
type Note struct {
	File string
	Line int // from 1; 0: the file as a whole
	Text string
	Lost bool // something of the line is not in the output
}

func (n Note) String() string {
	if n.Line == 0 {
		return fmt.Sprintf("%s: %s", n.File, n.Text)
	}
	return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Text)
}

// Secret is what a file must hold that the output names (password_file,
// secret_file, key_file). It is never in the output itself nor in a Note.
type Secret struct {
	Path string
	Text string
}

// Result is what came of an import.
type Result struct {
	Doc     *emit.Document
	Notes   []Note // in the order of the files and their lines: see Sort
	Secrets []Secret
}

// TOML returns the output.
func (r Result) TOML() []byte { return r.Doc.Bytes() }

// Lost tells whether something was not carried over.
func (r Result) Lost() bool {
	return slices.ContainsFunc(r.Notes, func(n Note) bool { return n.Lost })
}

// Sort puts notes into the order of the files and their lines, each once.
func Sort(notes []Note, files []File) []Note {
	order := make(map[string]int, len(files))
	for i, f := range files {
		if _, ok := order[f.Name]; !ok {
			order[f.Name] = i
		}
	}
	slices.SortStableFunc(notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line))
	})
	seen := make(map[Note]bool, len(notes))
	return slices.DeleteFunc(notes, func(n Note) bool {
		was := seen[n]
		seen[n] = true
		return was
	})
}

// Options is what an importer may ask the world around it.
type Options struct {
	// SecretDir is the folder of the files that hold secrets; "": /etc/ipvsd.
	SecretDir string
	// SecretsWritten says that the caller writes Result.Secrets. Otherwise the
	// operator must, and a secret counts as lost.
	SecretsWritten bool
	// Host resolves a name to its first IPv4 or IPv6 address; nil: no name is known.
	Host func(name string, v6 bool) (netip.Addr, error)
	// Port finds the port of a service's name; protocol "tcp", "udp" or "" for
	// either; nil: the usual names, see KnownPort.
	Port func(name, protocol string) (uint16, bool)
	// Read reads a file that an imported one includes, and Glob lists those
	// that match a pattern; nil: none is there.
	Read func(path string) ([]byte, error)
	Glob func(pattern string) ([]string, error)
}

// SecretPath returns where a secret goes. The name is made fit for a file.
func (o Options) SecretPath(name string) string {
	fit := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '-'
	}
	return strings.TrimSuffix(cmp.Or(o.SecretDir, "/etc/ipvsd"), "/") + "/" + strings.Trim(strings.Map(fit, name), "-.") + ".secret"
}

// LookupHost resolves a name, or says that it can't.
func (o Options) LookupHost(name string, v6 bool) (netip.Addr, error) {
	if o.Host == nil {
		return netip.Addr{}, errors.New("names are not resolved here")
	}
	a, err := o.Host(name, v6)
	return a.Unmap(), err
}

// LookupPort finds the port of a service's name.
func (o Options) LookupPort(name, protocol string) (uint16, bool) {
	if o.Port == nil {
		return KnownPort(name, protocol)
	}
	return o.Port(name, protocol)
}

// ReadFile reads an included file.
func (o Options) ReadFile(path string) ([]byte, error) {
	if o.Read == nil {
		return nil, fs.ErrNotExist
	}
	return o.Read(path)
}

// GlobFiles lists the files that match a pattern.
func (o Options) GlobFiles(pattern string) ([]string, error) {
	if o.Glob == nil {
		return nil, nil
	}
	return o.Glob(pattern)
}
