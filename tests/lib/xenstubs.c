// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lets the real C xenstored run on a machine without a hypervisor.
 *
 *	cc -shared -fPIC -o xenstubs.so xenstubs.c
 *	LD_PRELOAD=./xenstubs.so XENSTORED_RUNDIR=... xenstored
 *
 * Only the handful of calls that reach for Xen is answered here; permissions,
 * transactions, watches and quotas are xenstored's own.  The names are those
 * of Xen 4.17 (4.18 replaced xc_domain_getinfo).  Do not pass -D to
 * xenstored: without dom0 being introduced it crashes on the first write.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define PAGE 4096

/* Handles are only ever handed back to us: any address but NULL will do. */
static char handle;
static int event_fd = -1;
static int next_port = 1;

xc_interface *xc_interface_open(xentoollog_logger *logger,
				xentoollog_logger *dombuild_logger,
				unsigned open_flags)
{
	return (xc_interface *)&handle;
}

int xc_interface_close(xc_interface *xch)
{
	return 0;
}

/*
 * Every domain that is asked for exists and is well: the tests write nodes
 * for whichever domid they like, and xenstored refuses to give a node to a
 * domain that it believes is gone.
 */
int xc_domain_getinfo(xc_interface *xch, uint32_t first_domid,
		      unsigned int max_doms, xc_dominfo_t *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = first_domid;
	info->running = 1;
	return 1;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger,
				 unsigned int flags)
{
	/* Never written to, so never readable: no event ever arrives. */
	event_fd = eventfd(0, EFD_CLOEXEC);
	return event_fd < 0 ? NULL : (xenevtchn_handle *)&handle;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd,
				   unsigned open_flags)
{
	event_fd = fd;
	return (xenevtchn_handle *)&handle;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	return event_fd;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}

xenevtchn_port_or_error_t
xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
			   evtchn_port_t remote_port)
{
	return next_port++;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce,
					      unsigned int virq)
{
	return next_port++;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	errno = EAGAIN;
	return -1;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger,
				 unsigned open_flags)
{
	return (xengnttab_handle *)&handle;
}

int xengnttab_close(xengnttab_handle *xgt)
{
	return 0;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
	return 0;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid,
			      uint32_t ref, int prot)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address,
		    uint32_t count)
{
	return munmap(start_address, (size_t)count * PAGE);
}

/* A file with this text, then zeroes up to a page. */
static int memory_file(const char *name, const char *text)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, text[0] ? (off_t)strlen(text) : PAGE) ||
	    pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text)) {
		close(fd);
		return -1;
	}
	return fd;
}

int open(const char *path, int flags, ...)
{
	static int (*next)(const char *, int, ...);
	mode_t mode = 0;
	va_list ap;

	if (!strcmp(path, "/proc/xen/xsd_port"))
		return memory_file("xsd_port", "1\n");
	if (!strcmp(path, "/proc/xen/xsd_kva"))
		return memory_file("xsd_kva", "");
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (!next)
		next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	return next(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
