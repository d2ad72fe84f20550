package checker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// failed puts an error into plain words. Errors that come from the director's
// own want of something are void: they say nothing about the server.
func failed(err error, at phase, timeout time.Duration) Result {
	reason := explain(err, at, timeout)
	if ours(err) {
		return void(reason)
	}
	return bad(reason)
}

// ours tells whether an error is about this machine and not about the target.
func ours(err error) bool {
	if errors.As(err, new(*socketError)) || errors.As(err, new(*fileError)) || errors.As(err, new(*pathError)) || errors.Is(err, context.Canceled) {
		return true
	}
	for _, errno := range [...]syscall.Errno{
		unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS, unix.EADDRNOTAVAIL,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func explain(err error, at phase, timeout time.Duration) string {
	var errno syscall.Errno
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("timeout after %s %s", timeout, at)
	case errors.As(err, new(*socketError)):
		return socketReason(err)
	case errors.As(err, new(*fileError)), errors.As(err, new(*pathError)):
		return err.Error()
	case errors.Is(err, unix.EADDRNOTAVAIL) && at == connecting:
		return "no free local port or address to connect from"
	case errors.As(err, &errno) && at == connecting:
		return errno.Error()
	case errors.As(err, &errno):
		return errno.Error() + " " + string(at)
	case errors.Is(err, errTooLong):
		return err.Error()
	case errors.Is(err, io.EOF) && at == handshaking:
		return "connection closed in the TLS handshake"
	case errors.Is(err, io.EOF) && at == waiting:
		return "connection closed without an answer"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed in the middle of the answer"
	}
	if reason := explainTLS(err); reason != "" {
		return reason
	}
	return printable(err.Error())
}

// socketReason adds the cure where there is one.
func socketReason(err error) string {
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.ESOCKTNOSUPPORT):
		return "this kernel doesn't speak the protocol (sctp: modprobe sctp)"
	case errors.Is(err, unix.EAFNOSUPPORT):
		return "this kernel has no IPv6"
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return "the director has no file descriptor left (raise LimitNOFILE)"
	}
	return err.Error()
}

// explainTLS puts the errors of crypto/tls and crypto/x509 into an operator's
// words. It returns "" for others.
func explainTLS(err error) string {
	var (
		verify  *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		remote  *net.OpError
	)
	switch {
	case errors.As(err, &unknown):
		if errors.As(err, &verify) && selfSigned(verify.UnverifiedCertificates) {
			return "certificate is self-signed"
		}
		return "certificate signed by unknown authority"
	case errors.As(err, &name):
		return nameReason(name)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return expiryReason(invalid)
	case errors.As(err, &invalid):
		return strings.TrimPrefix(invalid.Error(), "x509: ")
	case errors.As(err, &record):
		return "no TLS there: the answer begins with " + quote(sample(record.RecordHeader[:], ""))
	case errors.As(err, &alert), errors.As(err, &remote) && remote.Op == "remote error":
		return "server refuses the TLS handshake: " + strings.TrimPrefix(strings.TrimPrefix(err.Error(), "remote error: "), "tls: ")
	case strings.Contains(err.Error(), "server selected unsupported protocol version"):
		return "server's TLS version is too old: " + versionIn(err.Error())
	case strings.HasPrefix(err.Error(), "tls: "), strings.HasPrefix(err.Error(), "x509: "):
		return printable(err.Error())
	}
	return ""
}

func selfSigned(chain []*x509.Certificate) bool {
	return len(chain) == 1 && chain[0].CheckSignature(chain[0].SignatureAlgorithm, chain[0].RawTBSCertificate, chain[0].Signature) == nil
}

func nameReason(err x509.HostnameError) string {
	var names []string
	names = append(names, err.Certificate.DNSNames...)
	for _, ip := range err.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "certificate is valid for no name, not " + err.Host
	case len(names) > 4:
		names = append(names[:4], "…")
	}
	return fmt.Sprintf("certificate is valid for %s, not %s", strings.Join(names, ", "), err.Host)
}

func expiryReason(err x509.CertificateInvalidError) string {
	if now := time.Now(); now.Before(err.Cert.NotBefore) {
		return "certificate isn't valid before " + err.Cert.NotBefore.UTC().Format(time.DateTime) + " UTC"
	}
	return "certificate expired on " + err.Cert.NotAfter.UTC().Format(time.DateTime) + " UTC"
}

// versionIn reads the version out of crypto/tls's text, which ends in its hex.
func versionIn(text string) string {
	var v uint16
	if _, err := fmt.Sscanf(text[strings.LastIndexByte(text, ' ')+1:], "%x", &v); err != nil {
		return text
	}
	return tls.VersionName(v)
}

// quote puts text into quotes as it is: a pattern's backslashes stay single.
func quote(s string) string { return `"` + s + `"` }

// printable replaces what a terminal or a log line could take amiss.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) && r != '\t' {
			return '.'
		}
		return r
	}, s)
}
