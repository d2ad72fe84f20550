package main

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"time"
)

// fileWatch tells whether a file has other content than when it last looked. It
// polls, because an editor's rename, a swapped link and a network file system
// all escape inotify.
type fileWatch struct {
	path string
	size int64
	mod  time.Time
	hash [sha256.Size]byte
}

func newFileWatch(path string) *fileWatch {
	w := &fileWatch{path: path}
	w.changed()
	return w
}

func (w *fileWatch) changed() bool {
	info, err := os.Stat(w.path)
	if err != nil || w.same(info) {
		return false // a file that is away for a moment comes back
	}
	b, err := os.ReadFile(w.path)
	if err != nil {
		return false
	}
	w.size, w.mod = info.Size(), info.ModTime()
	old := w.hash
	w.hash = sha256.Sum256(b)
	return w.hash != old
}

func (w *fileWatch) same(info fs.FileInfo) bool {
	return info.Size() == w.size && info.ModTime().Equal(w.mod)
}
