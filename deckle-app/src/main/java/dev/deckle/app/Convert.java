package dev.deckle.app;

import dev.deckle.models.Conversion;
import dev.deckle.tensor.DType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// A model folder in another type of numbers, or an adapter merged into its model.
@Command(
        name = "convert",
        description = "Writes a Hugging Face model folder anew: weights in another type, in shards of 5 GB where they "
                + "are large, everything else as it was. An adapter is merged into its model.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle convert --model Llama-3.2-1B --out Llama-3.2-1B-f32 --dtype f32",
            "  ./deckle convert --model runs/run-1 --out small --dtype bf16",
            "  ./deckle convert --model runs/adapter --out merged"
        })
final class Convert extends Verb {
    @Option(names = "--model", paramLabel = "DIR", required = true, description = "a model folder, or an adapter's")
    private Path model;

    @Option(names = "--out", paramLabel = "DIR", required = true, description = "the new folder")
    private Path out;

    @Option(names = "--dtype", paramLabel = "TYPE", description = "f32, bf16 or f16; default: as they are")
    private Type dtype;

    enum Type {
        f32(DType.F32),
        bf16(DType.BF16),
        f16(DType.F16);

        private final DType dtype;

        Type(DType dtype) {
            this.dtype = dtype;
        }
    }

    @Override
    int run(Console console) throws IOException {
        Conversion.convert(model, out, Optional.ofNullable(dtype).map(t -> t.dtype), Conversion.SHARD_BYTES);
        console.log("written to " + out);
        return Deckle.DONE;
    }
}
