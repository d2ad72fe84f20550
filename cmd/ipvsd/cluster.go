package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/cluster/gossip"
)

func newClusterCommand(e *env) *cobra.Command {
	c := &cobra.Command{Use: "cluster", Short: "The key that the directors share"}
	var out string
	keygen := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key: 32 random bytes in base64",
		Long: `Prints a new key, or writes it to a file that only its owner may read: the user
ipvsd where the package made one. Every director needs the same key. "ipvsd cluster
rotate" changes it while the cluster runs. By
hand, on all directors in turn: first add the new key as the last line of the key
file and reload (SIGHUP), then make it the first line and reload, then remove the
old line and reload. The first line encrypts; every line decrypts.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if out == "" {
				_, err := fmt.Fprintln(e.stdout, gossip.GenerateKey())
				return err
			}
			return e.writeKey(out)
		},
	}
	keygen.Flags().StringVarP(&out, "output", "o", "", "write it to this file, which must not exist")
	c.AddCommand(keygen, newRotateCommand(e))
	return c
}

func (e *env) writeKey(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; a key in use is not overwritten", path)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, gossip.GenerateKey())
	if err = errors.Join(err, giveToDirector(f), f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "wrote %s; copy it to every director, readable by its owner only\n", path)
	return err
}
