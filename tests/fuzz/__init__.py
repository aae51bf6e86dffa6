"""The fuzzer: every command on hostile input. Whatever a file or an option says, it is refused in one line, or read.

    python -m tests.fuzz --minutes 10                     a table, and the folders of what failed
    python -m tests.fuzz --inputs 500 --kinds weights     of one grammar
    python -m tests.fuzz --again FOLDER/007               one kept input once more
    python -m tests.fuzz --coverage recordings            guided by coverage, where atheris is installed

An input is a command line and the files that it reads. It depends on the seed, its grammar and its number alone.

    grammars/     make(rng, folder) -> Case: sound files (`seeds`) of which something is damaged
    damage        bytes: turned, cut, put in, copied; of HDF5 mostly those that hold no numbers
    hdf5          what HDF5 can say and no sound file of ours does; `signing`: traces whose hash fits nevertheless
    pickles       pickles and checkpoints opcode by opcode; `hostile`: numbers, texts, paths, trees of JSON
    commands      the command lines around a damaged file; `warm`: imports and compiles before the first fork
    child         one input in a forked process: 20 s, 4 GB of address space, streams and folder of its own
    campaign      so many at a time; what hangs or crashes is known by its process; failures are kept
    judging       the rule; `plain`: traces and dumps read without the package, for the oracle

The rule, for each input:
    refused       exit code 2, one printable line of at most 1000 characters on stderr, nothing on stdout, nothing new,
                  changed or missing in the folder; "not enough memory" only where the command line asks for that much
    accepted      exit code 0, or 1 of commands that judge; no traceback or warning, only printable text, JSON that is
                  JSON, no file but those that the command is to write; and its oracle agrees, where it has one
    changed       accepted, and other numbers were read than were written, out of a file that has no checksum
    failed        everything else: also a hang, a crash, more memory than the input may need, a process that is left

It runs on Linux: it forks, and reads /proc.
"""
