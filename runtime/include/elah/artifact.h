/* The artifact format, version 1: one file that holds everything a model needs to run.
 *
 *   offset 0          elah_artifact_header (4096 bytes, zero-padded)
 *   header.manifest   the manifest, a serialized elah.proto.Manifest (manifest.proto)
 *   sections          each begins on a multiple of ELAH_ARTIFACT_PAGE; the gap before it is zero
 *   header.checksums  one XXH3-64 (seed 0) for each ELAH_ARTIFACT_BLOCK bytes of each section, sections in table order
 *
 * All integers are little-endian. The header carries checksums of itself, of the manifest and of the checksum table,
 * so that every byte of the file is covered: header, manifest and table directly, section bytes by block, and gaps by
 * the rule that they are zero. The file ends where the last part ends; anything after it is an error, with one
 * exception: a program made by `--emit exe` has the artifact appended behind it and ends with an elah_artifact_trailer.
 */
#ifndef ELAH_ARTIFACT_H
#define ELAH_ARTIFACT_H

#include <stdint.h>

#define ELAH_ARTIFACT_MAGIC "ELAH\r\n\x1a\n" /* 8 bytes; text-mode transfers break it visibly */
#define ELAH_ARTIFACT_VERSION 1u
#define ELAH_ARTIFACT_PAGE 4096u
#define ELAH_ARTIFACT_BLOCK (1u << 20)
#define ELAH_ARTIFACT_MAX_SECTIONS 64u

/* What a section holds. A reader refuses a kind that it does not know. */
typedef enum elah_section_kind {
  ELAH_SECTION_WEIGHTS = 1,           /* packed weights, each on a 64-byte boundary */
  ELAH_SECTION_CPU_OBJECT = 2,        /* an ELF shared object without dependencies; symbols as in the manifest */
  ELAH_SECTION_TOKENIZER = 3,         /* tokenizer.json as it was */
  ELAH_SECTION_TOKENIZER_CONFIG = 4,  /* tokenizer_config.json as it was */
  ELAH_SECTION_GENERATION_CONFIG = 5, /* generation_config.json as it was */
  ELAH_SECTION_RECEIPT = 6,           /* JSON: tool versions, flags, hashes of the inputs */
  ELAH_SECTION_CUDA_MODULES = 7,      /* cubins and PTX of kernels, each where the manifest says */
  ELAH_SECTION_SELF_TEST = 8          /* golden digests of a device that is known to be right; the last section */
} elah_section_kind;

typedef struct elah_section {
  uint32_t kind;     /* elah_section_kind; at most one section of each kind */
  uint32_t reserved; /* 0 */
  uint64_t offset;   /* from the artifact's first byte; a multiple of ELAH_ARTIFACT_PAGE */
  uint64_t size;     /* bytes; > 0 */
} elah_section;

typedef struct elah_artifact_header {
  char magic[8];
  uint32_t version;
  uint32_t section_count;
  uint64_t file_size;       /* of the artifact, without runner and trailer */
  uint64_t manifest_offset; /* == 4096 */
  uint64_t manifest_size;
  uint64_t manifest_checksum;  /* XXH3-64 */
  uint64_t checksums_offset;   /* of the checksum table, a multiple of 8; the table is the last part of the file */
  uint64_t checksums_size;     /* bytes: 8 * sum over sections of ceil(size / ELAH_ARTIFACT_BLOCK) */
  uint64_t checksums_checksum; /* XXH3-64 */
  elah_section sections[ELAH_ARTIFACT_MAX_SECTIONS];
  uint8_t padding[4096 - 72 - 24 * ELAH_ARTIFACT_MAX_SECTIONS - 8];
  uint64_t header_checksum; /* XXH3-64 of the 4088 bytes before it */
} elah_artifact_header;

/* The last 24 bytes of a self-contained program. */
typedef struct elah_artifact_trailer {
  uint64_t artifact_offset; /* from the file's first byte; a multiple of ELAH_ARTIFACT_PAGE */
  uint64_t artifact_size;
  char magic[8]; /* ELAH_ARTIFACT_MAGIC */
} elah_artifact_trailer;

#ifdef __cplusplus
static_assert(sizeof(elah_artifact_header) == 4096, "the header is one page");
static_assert(sizeof(elah_section) == 24, "no padding in a section entry");
static_assert(sizeof(elah_artifact_trailer) == 24, "no padding in the trailer");
#endif

#endif
