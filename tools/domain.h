/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domains of this host, through libxenlight; the files that include this are
 * the only ones that know it.
 */
#ifndef XLRBD_DOMAIN_H
#define XLRBD_DOMAIN_H

#define LIBXL_API_VERSION 0x041400
#include <libxl.h>
#include <libxl_event.h>
#include <libxl_utils.h>

#include "xlrbd.h"

struct xl {
	libxl_ctx *ctx;
	xentoollog_logger *logger;
};

/* With a logger of one's own, or NULL for errors to stderr. */
int xl_open_logging(struct xl *xl, xentoollog_logger *logger) CHECKED;
/* FAILED, with a sentence, on a machine that is no Xen host. */
int xl_open(struct xl *xl) CHECKED;
void xl_close(struct xl *xl);
/* libxl's error numbers have no text of their own for most. */
int xl_fail(int rc, const char *tried, const char *domain);

/* Is there enough for the domain? */
int xl_check_memory(struct xl *xl, libxl_domain_config *config) CHECKED;

/* disks.c */

/* Does block-rbd attach it, and in a driver domain? */
bool xl_disk_is_ours(const libxl_device_disk *disk);
bool xl_disk_is_elsewhere(const libxl_device_disk *disk);
/* Could they be attached here? */
int xl_check_disks(struct session *s, const libxl_domain_config *config)
	CHECKED;

#endif /* XLRBD_DOMAIN_H */
