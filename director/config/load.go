package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/ipvsd/ipvsd/checker"
)

// maxFile is more than any real file and less than memory: a hundred thousand
// real servers are some 8 MB.
const maxFile = 64 << 20

// Load reads and validates a file, and looks whether the files and programs that
// it names are there. It completes [cluster] by what this machine is called, and
// by which of the directors' addresses it has. The error is of type Errors. Warnings come with and
// without an error.
func Load(path string) (*Config, []Warning, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, nil, Errors{{File: path, Text: err.Error()}}
	}
	return read(path, data, thisMachine())
}

// readFile reads a file, or says what the operator can do about it.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("no such file; write it (\"ipvsd config reference\" prints a commented one), or name another with -c")
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.New("no permission to read it; run as root, or let this user read the file")
	case err != nil:
		return nil, reason(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errors.New("that is a directory; name the file in it, such as ipvsd.toml")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, reason(err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("more than %d MB; that can't be a configuration", maxFile>>20)
	}
	return data, nil
}

// reason drops the path from an error, because Problem prints it.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Parse validates the contents of a file; name is for the messages. It looks
// at nothing else.
func Parse(name string, data []byte) (*Config, []Warning, error) {
	return read(name, data, nil)
}

func read(name string, data []byte, here *machine) (*Config, []Warning, error) {
	r := &report{file: name, here: here, judged: make(map[checker.Spec][]checker.Problem)}
	text, ok := r.text(data)
	if !ok {
		return nil, nil, r.sorted(nil)
	}
	table, text, syntax := parse(name, text)
	if table == nil {
		return nil, nil, r.sorted(syntax)
	}
	var raw rawFile
	r.decode("", reflect.ValueOf(&raw).Elem(), table, index(text), 1)
	cfg := r.build(&raw)
	sum := sha256.Sum256(data)
	cfg.File, cfg.Text, cfg.Hash = name, data, hex.EncodeToString(sum[:])
	warnings := unique(r.warnings)
	sortWarnings(warnings)
	if problems := r.sorted(syntax); len(problems) > 0 {
		return nil, warnings, problems
	}
	return cfg, warnings, nil
}

// text checks that the bytes are UTF-8 text and drops a byte order mark.
func (r *report) text(data []byte) (string, bool) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		r.errorf(1, "the file is in UTF-16; save it in UTF-8")
		return "", false
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	for i, line := range bytes.Split(data, []byte("\n")) {
		switch {
		case bytes.IndexByte(line, 0) >= 0:
			r.errorf(i+1, "there is a NUL character in this line; the file must be text in UTF-8")
		case !utf8.Valid(line):
			r.errorf(i+1, "this line isn't UTF-8; save the file in that encoding")
		case bytes.IndexByte(bytes.TrimSuffix(line, []byte("\r")), '\r') >= 0:
			r.errorf(i+1, "there is a carriage return without a line feed; save the file with Unix line ends")
		}
		if len(r.problems) == maxRepairs {
			break
		}
	}
	if line := tooDeep(string(data)); line > 0 && len(r.problems) == 0 {
		r.errorf(line, "this is nested more than %d deep; no key of this file is", maxDepth)
	}
	return string(data), len(r.problems) == 0
}

// build turns the raw file into the typed one.
func (r *report) build(raw *rawFile) *Config {
	cfg := &Config{
		HTTP: HTTP{Listen: or(raw.HTTP.Listen, "127.0.0.1:9117")},
		Director: Director{
			CleanStop:    or(raw.Director.CleanStop, false),
			AutoReload:   or(raw.Director.AutoReload, false),
			StateDir:     or(raw.Director.StateDir, DefaultStateDir),
			RemovalGrace: or(raw.Director.RemovalGrace, defaultGrace).duration(),

			MaintenanceDir: or(raw.Director.MaintenanceDir, ""),
		},
		Sysctl: Sysctl{Manage: or(raw.Sysctl.Manage, true)},
	}
	if p := listenProblem(cfg.HTTP.Listen); p != "" {
		r.key(&raw.HTTP.at, "listen", "%s", p)
	}
	if d := cfg.Director.StateDir; !strings.HasPrefix(d, "/") {
		r.key(&raw.Director.at, "state_dir", "%q doesn't begin with /; write the whole path, such as \"/var/lib/ipvsd\"", d)
	}
	r.maintenanceDir(&raw.Director.at, cfg.Director.MaintenanceDir)
	cfg.Director.CheckMarks = r.checkMarks(raw)
	cfg.Hooks, cfg.Email = r.hooks(&raw.Hooks), r.email(&raw.Email)
	cfg.Virtuals = r.virtuals(raw, cfg)
	cfg.CheckServices = checkServices(cfg)
	cfg.VIPs = r.vips(raw, cfg.Virtuals)
	vips := addresses(cfg)
	cfg.Cluster = r.cluster(raw, vips)
	cfg.Groups = r.groups(raw, cfg.Cluster, vips)
	r.mixed(cfg)
	return cfg
}
