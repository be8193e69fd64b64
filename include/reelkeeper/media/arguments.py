"""Which arguments ffmpeg may be given: nothing that reads or writes anything but the files that were named.

A camera's name, a watermark's text or a file's name reach ffmpeg as arguments; none may become an option, another
file, an address or a filter that opens one.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reelkeeper.errors import MediaError

_FLAGS = frozenset({
    "y", "an", "vn", "sn", "dn", "shortest", "copyts", "noautorotate", "noautoscale",
    "noaccurate_seek", "bitexact",
})  # fmt: skip
"""Options without a value."""
_OPTIONS = frozenset({
    "ss", "seek_timestamp", "t", "to", "itsoffset", "r", "s", "pix_fmt", "pixel_format", "video_size", "framerate",
    "ar", "ac", "sample_rate", "channel_layout", "channels", "f", "map", "map_metadata", "map_chapters", "metadata",
    "disposition", "c", "codec", "vcodec", "acodec", "b", "q", "qscale", "crf", "preset", "tune", "profile", "level",
    "g", "keyint_min", "sc_threshold", "bf", "refs", "maxrate", "bufsize", "x264-params", "x265-params", "tag", "bsf",
    "fflags", "flags", "threads", "filter_threads", "filter_complex", "filter_complex_threads", "filter", "vf", "af",
    "fps_mode", "enc_time_base", "video_track_timescale", "time_base", "movflags", "use_editlist", "brand",
    "avoid_negative_ts", "muxdelay", "muxpreload", "mpegts_flags", "frames", "color_range", "colorspace",
    "color_primaries", "color_trc", "max_muxing_queue_size", "thread_queue_size", "force_key_frames", "update",
    "hls_time", "hls_list_size", "hls_playlist_type", "hls_segment_type", "hls_flags", "hls_segment_filename",
    "hls_fmp4_init_filename", "seg_duration", "frag_duration", "init_seg_name", "media_seg_name", "use_template",
    "use_timeline", "single_file", "adaptation_sets", "hls_playlist", "streaming", "ldash",
})  # fmt: skip
"""Options with one value; a stream specifier may follow (`c:v`)."""
_FORMATS = frozenset({
    "lavfi", "rawvideo", "image2", "mp4", "mov", "matroska", "mpegts", "avi", "mjpeg", "h264", "hevc", "nut", "null",
    "adts", "s16le", "f32le", "wav", "hls", "dash", "ffmetadata",
})  # fmt: skip
_FILTERS = frozenset({
    "null", "anull", "nullsink", "anullsink", "nullsrc", "anullsrc", "color", "trim", "atrim", "select",
    "aselect", "setpts", "asetpts", "settb", "asettb", "fps", "scale", "setsar", "setdar", "format", "aformat",
    "aresample", "asetrate", "asetnsamples", "apad", "adelay", "amix", "concat", "overlay", "hstack", "vstack",
    "xstack", "pad", "crop", "tpad", "loop", "tile", "split", "asplit", "yadif", "bwdif", "transpose", "hflip", "vflip",
    "showinfo", "thumbnail", "colorspace", "setparams", "setrange", "alphamerge", "premultiply", "sine", "testsrc2",
    "volume", "drawbox", "interleave", "ainterleave", "zscale", "fade", "afade", "setfield",
})  # fmt: skip
"""None of them opens a file."""
_CODEC_KEYS = frozenset({
    "sps-id", "keyint", "min-keyint", "scenecut", "open-gop", "bframes", "b-pyramid", "b-adapt", "ref", "crf", "qp",
    "force-cfr", "threads", "lookahead-threads", "sliced-threads", "rc-lookahead", "sync-lookahead", "repeat-headers",
    "annexb", "aud", "info", "log-level", "level", "level-idc", "profile", "vbv-maxrate", "vbv-bufsize", "nal-hrd",
    "colorprim", "transfer", "colormatrix", "range", "fullrange", "sar", "overscan", "videoformat", "chromaloc",
    "interlaced", "tff", "bff", "fake-interlaced", "pools", "frame-threads", "wpp", "hrd", "stitchable", "bitrate",
    "no-open-gop", "no-scenecut", "no-info", "no-mbtree", "mbtree", "weightp", "ipratio", "pbratio", "aq-mode",
    "opts", "ctu", "hash", "idr-recovery-sei", "vui-timing-info", "high-tier", "tier", "input-depth", "output-depth",
})  # fmt: skip
"""Of `x264-params` and `x265-params`, which also know keys that name files."""


def checked(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments (without the program's name), each input confined to its own file, or to the pipe.

    MediaError for any that is not on the list.
    """
    rest = iter(arguments)
    is_graph = False
    for argument in rest:
        name = argument[1:].partition(":")[0]
        if not argument.startswith("-"):
            _expect(argument.startswith("file:"), "output", argument, "a path as 'file:…'")
            yield argument
        elif name in _FLAGS:
            yield argument
        else:
            _expect(name in _OPTIONS or argument == "-i", "option", argument, "one of the allowed ones")
            value = next(rest, None)
            if value is None:
                raise MediaError(f"option {argument!r} has no value: expected one")
            if argument == "-i":
                _check_input(value, is_graph=is_graph)
                yield from ("-protocol_whitelist", "file,pipe")
            else:
                _check_value(name, value)
            is_graph = (name, value) == ("f", "lavfi") or (is_graph and argument != "-i")
            yield from (argument, value)


def outputs(arguments: Sequence[str]) -> Iterator[Path]:
    """The files that such arguments name for ffmpeg to write."""
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            yield Path(argument.removeprefix("file:"))
        elif argument[1:].partition(":")[0] not in _FLAGS:
            next(rest, None)  # its value


def _check_input(source: str, *, is_graph: bool) -> None:
    if is_graph:
        _check_filters(source)
    else:
        _expect(source == "pipe:0" or source.startswith("file:"), "input", source, "a path as 'file:…', or 'pipe:0'")


def _check_value(name: str, value: str) -> None:
    match name:
        case "f":
            _expect(value in _FORMATS, "format", value, f"one of {sorted(_FORMATS)}")
        case "filter_complex" | "filter" | "vf" | "af":
            _check_filters(value)
        case "x264-params" | "x265-params":
            for key in (part.partition("=")[0] for part in value.split(":")):
                _expect(key in _CODEC_KEYS, f"key of {name!r}", key, "one of the allowed ones")


def _check_filters(graph: str) -> None:
    for name in _filter_names(graph):
        _expect(name in _FILTERS, "filter", name, f"one of {sorted(_FILTERS)}")


def _filter_names(graph: str) -> Iterator[str]:
    """The names of the filters in a graph, as ffmpeg reads it: `[in]name@id=options[out],name;…`."""
    for chain in _parts(graph):
        name = chain.strip()
        while name.startswith("["):
            name = name.partition("]")[2].strip()
        yield name.partition("=")[0].partition("@")[0].partition("[")[0].strip()


def _parts(graph: str) -> Iterable[str]:
    """Split at commas and semicolons that are neither escaped nor quoted."""
    parts, quoted, escaped = [""], False, False
    for character in graph:
        if not (escaped or quoted) and character in ",;":
            parts.append("")
            continue
        if not escaped and character == "'":
            quoted = not quoted
        escaped = not quoted and not escaped and character == "\\"
        parts[-1] += character
    return parts


def _expect(holds: bool, what: str, value: str, expected: str) -> None:
    if not holds:
        raise MediaError(f"{what} {value!r} is not given to ffmpeg here: expected {expected}")
