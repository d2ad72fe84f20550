// Package packages holds the Debian packages to what they promise before they
// are installed: lintian, the unit's confinement, the same bytes from the same
// commit. What they do on a machine is in the package install below.
package packages
