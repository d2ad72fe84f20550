package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/director/config/convert"
	"github.com/ipvsd/ipvsd/director/config/convert/heartbeat"
	"github.com/ipvsd/ipvsd/director/config/convert/keepalived"
	"github.com/ipvsd/ipvsd/director/config/convert/ldirectord"
)

// importers are the formats that can be imported.
var importers = map[convert.Format]func([]convert.File, convert.Options) convert.Result{
	convert.Ldirectord: ldirectord.Convert,
	convert.Keepalived: keepalived.Convert,
	convert.Heartbeat:  heartbeat.Convert,
}

func newImportCommand(e *env) *cobra.Command {
	var from, secrets string
	c := &cobra.Command{
		Use:   "import [--from FORMAT] [--secrets DIR] FILE...",
		Short: "Turn files of ldirectord, keepalived or heartbeat into ipvsd's, on standard output",
		Long: `Prints ipvsd's file on standard output. On standard error, as FILE:LINE: …, what
could not be carried over and, as FILE:LINE: note: …, what the program that the
file was for understood otherwise than it was probably meant. Changes nothing, but
with --secrets.

Several files become one; heartbeat's ha.cf, haresources and authkeys belong
together. Host names are resolved, because ipvsd's file has addresses.

Passwords never come into the output. It names files for them, in /etc/ipvsd, that
you write; with --secrets DIR they are written there, for the director's user only.

Exit status: 0 all carried over, 3 something was not, 1 a file can't be read.`,
		Example: `  ipvsd config import /etc/ha.d/ldirectord.cf >ipvsd.toml && ipvsd config check -c ipvsd.toml
  ipvsd config import --secrets /etc/ipvsd /etc/ha.d/ldirectord.cf >/etc/ipvsd/ipvsd.toml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			return e.importFiles(cmd.Context(), convert.Format(from), secrets, files)
		},
	}
	c.Flags().StringVar(&from, "from", "", "`FORMAT`: ldirectord, keepalived or heartbeat; found out unless given")
	c.Flags().StringVar(&secrets, "secrets", "", "write the passwords into files in `DIR`")
	err := c.RegisterFlagCompletionFunc("from", cobra.FixedCompletions(strings.Split(formatNames(), ", "), cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(errors.Join(errors.New("main: --from"), err)) // the flag is defined above
	}
	return c
}

func formatNames() string {
	var names []string
	for _, f := range convert.Formats {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

func (e *env) importFiles(ctx context.Context, from convert.Format, secrets string, names []string) error {
	if from != "" && importers[from] == nil {
		return fmt.Errorf("--from %s: not a format that can be imported; write one of %s", from, formatNames())
	}
	opts := importOptions(ctx)
	if secrets != "" {
		dir, err := filepath.Abs(secrets)
		if err != nil {
			return err
		}
		opts.SecretDir, opts.SecretsWritten = dir, true
	}
	files := make(map[convert.Format][]convert.File)
	for _, name := range names {
		f, format, err := readImport(name, from)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		files[format] = append(files[format], f)
	}
	result := convertAll(files, opts)
	if secrets != "" {
		if err := writeSecrets(opts.SecretDir, result.Secrets); err != nil {
			return err
		}
	}
	for _, n := range result.Notes {
		if !n.Lost {
			n.Text = "note: " + n.Text
		}
		fmt.Fprintln(e.stderr, n)
	}
	if _, err := e.stdout.Write(result.TOML()); err != nil {
		return err
	}
	if result.Lost() {
		return &exitError{code: 3}
	}
	return nil
}

// readImport reads a file and finds out its format.
func readImport(name string, from convert.Format) (convert.File, convert.Format, error) {
	data, err := os.ReadFile(name)
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	f := convert.File{Name: name, Data: data}
	if err != nil {
		return f, "", err
	}
	if slices.Contains(data, 0) {
		return f, "", errors.New("it holds NUL characters, so it is not a text file")
	}
	if from == "" {
		from = convert.Detect(f)
	}
	if from == convert.Own {
		return f, "", errors.New("this is ipvsd's own file already; \"ipvsd config check -c\" reads it")
	}
	if from == "" {
		return f, "", fmt.Errorf("it looks like none of %s; name its format with --from", formatNames())
	}
	return f, from, nil
}

// convertAll imports the files of each format and joins the results.
func convertAll(files map[convert.Format][]convert.File, opts convert.Options) convert.Result {
	var all convert.Result
	for _, format := range convert.Formats {
		if len(files[format]) == 0 {
			continue
		}
		r := importers[format](files[format], opts)
		all.Notes, all.Secrets = append(all.Notes, r.Notes...), append(all.Secrets, r.Secrets...)
		if all.Doc == nil {
			all.Doc = r.Doc
			continue
		}
		for _, key := range all.Doc.Append(r.Doc) {
			all.Notes = append(all.Notes, convert.Note{File: files[format][0].Name, Lost: true, Text: key + ": another file has another value, which is in the output"})
		}
	}
	return all
}

// writeSecrets writes each into a file that only its owner can read. One that is
// there already with something else in it is not overwritten.
func writeSecrets(dir string, secrets []convert.Secret) error {
	if len(secrets) == 0 {
		return nil
	}
	if err := makeSecretsDir(dir); err != nil {
		return err
	}
	for _, s := range secrets {
		text := s.Text + "\n"
		f, err := os.OpenFile(s.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			if have, err := os.ReadFile(s.Path); err != nil || string(have) != text {
				return fmt.Errorf("%s is there already, with another content; remove it, or name another folder", s.Path)
			}
			continue
		}
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		if err = errors.Join(err, giveToDirector(f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// makeSecretsDir makes a folder into which only the director sees. One that is
// there already, such as /etc/ipvsd, keeps its owner: who owns a folder may
// replace every file in it.
func makeSecretsDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(giveToDirector(d), d.Close())
}

// resolveTimeout is how long one name may take.
const resolveTimeout = 5 * time.Second

// importOptions is this machine's knowledge of names.
func importOptions(ctx context.Context) convert.Options {
	opts := convert.Options{
		Read: os.ReadFile,
		Glob: filepath.Glob,
		Host: func(name string, v6 bool) (netip.Addr, error) {
			network := "ip4"
			if v6 {
				network = "ip6"
			}
			ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
			defer cancel()
			list, err := net.DefaultResolver.LookupNetIP(ctx, network, strings.TrimSuffix(name, "."))
			if err != nil || len(list) == 0 {
				return netip.Addr{}, fmt.Errorf("resolve %s: %v", name, err)
			}
			return list[0].Unmap(), nil
		},
	}
	if services, err := os.ReadFile("/etc/services"); err == nil {
		lookup := convert.PortIn(services)
		opts.Port = func(name, protocol string) (uint16, bool) {
			if port, ok := lookup(name, protocol); ok {
				return port, true
			}
			return convert.KnownPort(name, protocol)
		}
	}
	return opts
}
