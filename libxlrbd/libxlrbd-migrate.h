/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libxlrbd-migrate - the disks of a domain that moves from host to host
 *
 * With xl(1) the destination attaches the disks while the guest stands still.
 * Whoever receives a domain with these calls has them attached before.  See
 * libxlrbd.h for the context, errors and ownership.
 */
#ifndef LIBXLRBD_MIGRATE_H
#define LIBXLRBD_MIGRATE_H

#include "libxlrbd.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A domain that is to arrive on this host. */
struct xlrbd_arrival;

/**
 * xlrbd_arrival_begin() - say that a domain is to arrive
 * @ctx: the context
 * @domain: its name, without xl's "--incoming"
 * @uuid: its UUID, which both copies have
 * @domid: the domid that the copy on this host will have
 * @arrival_out: to be given to xlrbd_arrival_end()
 *
 * As long as the calling process lives, nobody on this host cleans up what is
 * prepared, and nobody else can receive the domain.  What an earlier process
 * had prepared for it is undone.  Needs what xlrbd_vbd_add() needs.
 *
 * Blocks for as long as undoing takes: the timeout= of each disk at most.
 *
 * Return: 0, -EALREADY if another process is receiving the domain, or why what
 * is left of an earlier one could not be undone.
 */
int xlrbd_arrival_begin(struct xlrbd_ctx *ctx, const char *domain,
			const char *uuid, unsigned int domid,
			struct xlrbd_arrival **arrival_out);

/**
 * xlrbd_arrival_prepare() - attach a disk before its domain arrives
 * @arrival: the domain
 * @disk: the disk
 *
 * Takes the image's lock as the domain's incoming copy, and maps the image:
 * all that xlrbd_vbd_add() does but telling the block backend, which is left
 * for it to do.  Blocks for timeout= seconds of the target at most.
 *
 * Return: 0, -EXDEV if the target means another image here than it does where
 * the domain comes from, or what xlrbd_vbd_add() returns; then this disk has
 * left nothing behind.
 */
int xlrbd_arrival_prepare(struct xlrbd_arrival *arrival,
			  const struct xlrbd_disk *disk);

/**
 * xlrbd_arrival_end() - the domain has arrived, or will not
 * @arrival: freed; NULL is fine
 *
 * Undoes what was prepared and no domain has taken.
 *
 * Return: 0, or why something could not be undone; `block-rbd gc` tries again.
 */
int xlrbd_arrival_end(struct xlrbd_arrival *arrival);

/* Other than 0 ends the walk, and is what it returns. */
typedef int xlrbd_arrival_fn(void *data, unsigned int domid, const char *uuid);

/**
 * xlrbd_arrivals_lost() - for whom disks were prepared that nobody receives
 * @ctx: the context
 * @fn: called for each disk, with the domid and the UUID it was prepared for
 * @data: passed to @fn
 *
 * That domain has arrived, and runs, or is there half made, or is not there at
 * all; in the last case xlrbd_gc() undoes the disk.  Does not block.
 *
 * Return: 0, what @fn returned, or why the records cannot be read.
 */
int xlrbd_arrivals_lost(struct xlrbd_ctx *ctx, xlrbd_arrival_fn *fn,
			void *data);

/* Enough for what xlrbd_vbd_image() writes. */
#define XLRBD_IMAGE_MAX	160

/**
 * xlrbd_vbd_image() - which image a disk of this host is
 * @ctx: the context
 * @domid: its domain
 * @devid: the disk, such as 51712 for xvda
 * @out: "FSID/POOL-ID/IMAGE-ID", the same on every host
 *
 * Does not block.
 *
 * Return: 0, or -ENOENT if block-rbd has attached no such disk here.
 */
int xlrbd_vbd_image(struct xlrbd_ctx *ctx, unsigned int domid,
		    unsigned int devid, char out[XLRBD_IMAGE_MAX]);

/**
 * xlrbd_drain() - wait until the disks of a suspended domain are still
 * @ctx: the context
 * @domid: the domain, suspended
 * @timeout_ms: how long at most
 *
 * A guest that goes on elsewhere repeats what was not answered when it was
 * suspended (linux: xen-blkfront.c, blkfront_resume()).  A write that is still
 * under way here must not arrive after what it writes there.
 *
 * Return: 0, or -ETIMEDOUT if requests are still in flight.
 */
int xlrbd_drain(struct xlrbd_ctx *ctx, unsigned int domid,
		unsigned int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif /* LIBXLRBD_MIGRATE_H */
