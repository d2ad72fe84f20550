package director

import (
	"context"
	"time"

	"github.com/ipvsd/ipvsd/director/intent"
)

// startBook reads what operators wanted before this process began.
func (l *loop) startBook(ctx context.Context) {
	book, err := intent.Read(l.cfg.Director.StateDir)
	if err != nil {
		l.opts.Log.Error("operators' wishes of before are lost here", "err", err)
	}
	l.book = book
	l.books.Store(&book)
	l.setBook(book)
	l.maintenance.await(ctx)
	l.hold(time.Now())
}

// learn takes records into the book, on disk first. It says whether they were
// news.
func (l *loop) learn(records []intent.Record) bool {
	book, changed := l.book.Merge(records)
	return changed && l.setBook(book)
}

// setBook makes another book, compared with the running file, the one that
// counts. It says whether it is another.
func (l *loop) setBook(book intent.Book) bool {
	book, lost, _ := book.Use(l.named)
	if book.Equal(l.book) {
		return false
	}
	for _, m := range lost {
		l.opts.Log.Warn("operator's wish is over: the real server left the file", "real", m.Key.String(), "wish", m.Cause())
	}
	l.book, l.bookNews, l.unsaved = book, true, true
	l.saveBook()
	l.books.Store(&book)
	nudge(l.bookChanged)
	return true
}

// saveBook writes the book where that is still to be done. A disk that is full
// doesn't stop an operator; it is told, and tried again each round.
func (l *loop) saveBook() {
	if !l.unsaved {
		return
	}
	err := l.book.Write(l.cfg.Director.StateDir)
	if err != nil {
		if l.saveError != err.Error() {
			l.opts.Log.Error("operators' wishes not stored; they would be lost at a restart", "err", err)
		}
		l.saveError = err.Error()
		return
	}
	l.unsaved, l.saveError = false, ""
}
