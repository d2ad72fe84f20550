// Package install installs, upgrades, removes and purges the Debian package on
// machines of the lab: each has a disk of its own over this machine's (what is
// written is gone afterwards), dpkg with the real maintainer scripts, and a
// real systemd that runs the real units with all their confinement.
package install
