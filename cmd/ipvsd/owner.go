package main

import (
	"os"
	"os/user"
	"strconv"
)

// giveToDirector makes the user ipvsd, as which the Debian package runs the
// director, the owner of a file with a secret. Without that user, or not as
// root, it stays with who made it. It takes the open file, because whoever may
// write in its directory could put a link to another one in its place.
func giveToDirector(f *os.File) error {
	u, err := user.Lookup("ipvsd")
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	return f.Chown(uid, gid)
}
