// Package cloud holds the scripts that move a cloud's public address to the
// active director, and their tests. docs/clouds.md says how to use them.
package cloud
