//! Compiles the Solidity suite and writes its typed bindings.
//!
//! One standard-JSON input holds every file under `contracts/src`; its settings come from `foundry.toml` alone
//! (`[profile.default]` overlaid with `[profile.deploy]`), so that forge and this build can never disagree. The compiler
//! is the wrapper `tools/solc`, which remembers what it compiled by the hash of that input.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use foundry_compilers::{
    Graph, ProjectPathsConfig,
    artifacts::{
        CompilerOutput, Contract, SolcInput, SolcLanguage,
        output_selection::OutputSelection,
        remappings::Remapping,
        solc::{Optimizer, Settings, SettingsMetadata},
        sources::{Source, Sources},
    },
    resolver::parse::SolParser,
    solc::Solc,
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The keys of a `foundry.toml` profile that decide what the compiler makes of a source.
#[derive(Deserialize)]
struct Profile {
    src: PathBuf,
    libs: Vec<PathBuf>,
    solc: PathBuf,
    evm_version: String,
    optimizer: bool,
    optimizer_runs: usize,
    via_ir: bool,
    bytecode_hash: String,
    cbor_metadata: bool,
    remappings: Vec<String>,
}

/// What one contract became.
struct Compiled {
    name: String,
    source: String,
    abi: Vec<Value>,
    creation: String,
    runtime: String,
    /// (start, length) of each place that a constructor writes an immutable to.
    immutables: Vec<(u32, u32)>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let manifest_dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest_dir.parent().ok_or("the crate has no parent folder")?.canonicalize()?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    for watched in ["contracts/src", "foundry.toml", "package-lock.json", "tools/solc"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo::rerun-if-env-changed=TANDEM_SOLC");

    for package in ["@openzeppelin/contracts", "solc"] {
        let path = root.join("node_modules").join(package).join("package.json");
        if !path.is_file() {
            // Watched, so that the build runs again once the package is there.
            println!("cargo::rerun-if-changed={}", path.display());
            return Err(
                format!("the npm package {package} is not installed: run `npm ci` in {}", root.display()).into()
            );
        }
    }

    let profile = read_profile(&root.join("foundry.toml"))?;
    let solc = Solc::new(root.join(&profile.solc))?;
    let input = standard_json_input(&root, &profile)?;
    let input_text = serde_json::to_string(&input)?;
    let output = solc.compile(&input)?;
    fail_on_errors(&output)?;

    let compiled = collect(&root, &profile, &output)?;
    let errors = error_declarations(&output);
    fs::write(out_dir.join("standard-input.json"), &input_text)?;
    fs::write(out_dir.join("errors.rs"), format!("{errors:?}"))?;
    fs::write(out_dir.join("bindings.rs"), bindings(&compiled)?)?;
    fs::create_dir_all(out_dir.join("abi"))?;
    for contract in &compiled {
        let abi = serde_json::to_string(&contract.abi)?;
        fs::write(out_dir.join("abi").join(format!("{}.json", contract.name)), abi)?;
    }
    fs::write(
        out_dir.join("artifacts.rs"),
        artifacts(&compiled, &solc.version.to_string(), &Sha256::digest(&input_text))?,
    )?;
    Ok(())
}

fn read_profile(path: &Path) -> Result<Profile, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: toml::Table = toml::from_str(&text)?;
    let profiles = file.get("profile").and_then(toml::Value::as_table);
    let table = |name: &str| {
        profiles
            .and_then(|all| all.get(name)?.as_table())
            .ok_or_else(|| format!("{}: [profile.{name}] is missing", path.display()))
    };
    let mut merged = table("default")?.clone();
    merged.extend(table("deploy")?.clone());
    merged.try_into().map_err(|error| format!("{}: {error}", path.display()).into())
}

fn standard_json_input(root: &Path, profile: &Profile) -> Result<SolcInput, Box<dyn Error>> {
    let remappings = profile.remappings.iter().map(|text| text.parse()).collect::<Result<Vec<Remapping>, _>>()?;
    let absolute = remappings.iter().cloned().map(|mut remapping| {
        remapping.path = root.join(&remapping.path).display().to_string();
        remapping
    });
    let paths: ProjectPathsConfig<SolcLanguage> = ProjectPathsConfig::builder()
        .root(root)
        .sources(root.join(&profile.src))
        .libs(profile.libs.iter().map(|lib| root.join(lib)))
        .remappings(absolute)
        .build()?;

    let sources = Source::read_all_from(&root.join(&profile.src), &["sol"])?;
    let (resolved, edges) = Graph::<SolParser>::resolve_sources(&paths, sources)?.into_sources();
    if let Some((import, importer)) = edges.unresolved_imports().iter().next() {
        return Err(format!("{}: cannot find {}", importer.display(), import.display()).into());
    }
    // Names relative to the root: the same input, and so the same hash, wherever the repository lies.
    let sources: Sources = resolved
        .into_iter()
        .map(|(path, source)| (path.strip_prefix(root).map(Path::to_path_buf).unwrap_or(path), source))
        .collect();

    let settings = Settings {
        remappings,
        optimizer: Optimizer { enabled: Some(profile.optimizer), runs: Some(profile.optimizer_runs), details: None },
        metadata: Some(SettingsMetadata::new(profile.bytecode_hash.parse()?, profile.cbor_metadata)),
        output_selection: OutputSelection::common_output_selection(
            ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"]
                .map(String::from),
        ),
        evm_version: Some(profile.evm_version.parse()?),
        via_ir: Some(profile.via_ir),
        ..Settings::default()
    };
    Ok(SolcInput::new(SolcLanguage::Solidity, sources, settings))
}

fn fail_on_errors(output: &CompilerOutput) -> Result<(), String> {
    let errors: Vec<String> = output
        .errors
        .iter()
        .filter(|error| error.severity.is_error())
        .map(|error| error.formatted_message.clone().unwrap_or_else(|| error.message.clone()))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

/// Every contract of the suite that can be deployed and has an interface, by name.
fn collect(root: &Path, profile: &Profile, output: &CompilerOutput) -> Result<Vec<Compiled>, Box<dyn Error>> {
    let own = profile.src.display().to_string();
    let mut found: BTreeMap<String, Compiled> = BTreeMap::new();
    for (file, contracts) in output.contracts.iter() {
        let source = file.strip_prefix(root).unwrap_or(file).display().to_string();
        for (name, contract) in contracts {
            if !source.starts_with(&own) {
                continue;
            }
            if let Some(compiled) = compiled(name, &source, contract)?
                && let Some(twin) = found.insert(name.clone(), compiled)
            {
                return Err(format!("two contracts are named {name}: {} and {source}", twin.source).into());
            }
        }
    }
    Ok(found.into_values().collect())
}

/// `None` for what cannot be deployed (interfaces, abstract contracts) and for libraries of internal functions.
fn compiled(name: &str, source: &str, contract: &Contract) -> Result<Option<Compiled>, Box<dyn Error>> {
    let value = serde_json::to_value(contract)?;
    let abi = match &value["abi"] {
        Value::Array(items) => items.iter().map(|item| plain_types(item.clone())).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let object = |pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().trim_start_matches("0x").to_owned()
    };
    let (creation, runtime) = (object("/evm/bytecode/object"), object("/evm/deployedBytecode/object"));
    if creation.is_empty() || !abi.iter().any(|item| item["type"] == "function") {
        return Ok(None);
    }
    for (what, code) in [("creation", &creation), ("runtime", &runtime)] {
        hex::decode(code).map_err(|_| format!("{name}: the {what} code has unlinked libraries"))?;
    }
    let mut immutables = Vec::new();
    if let Some(evm) = &contract.evm
        && let Some(deployed) = &evm.deployed_bytecode
    {
        immutables.extend(deployed.immutable_references.values().flatten().map(|place| (place.start, place.length)));
    }
    immutables.sort_unstable();
    Ok(Some(Compiled { name: name.into(), source: source.into(), abi, creation, runtime, immutables }))
}

/// Drops the names of value types and enums from an ABI item: in Rust a `Netuid` is a `u16` and an enum a `u8`.
/// Otherwise each contract's module would define a type of its own for them, and none would fit another's.
fn plain_types(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = plain_types(item.take())),
        Value::Object(fields) => {
            fields.values_mut().for_each(|field| *field = plain_types(field.take()));
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
            if fields.contains_key("internalType") && !kind.starts_with("tuple") {
                let kind = kind.to_owned();
                fields.insert("internalType".into(), kind.into());
            }
        }
        _ => {}
    }
    value
}

/// Every custom error of every compiled file, once per signature: `error Name(uint256 argument)`.
fn error_declarations(output: &CompilerOutput) -> Vec<String> {
    let mut declarations = BTreeMap::new();
    for abi in output.contracts.values().flat_map(BTreeMap::values).filter_map(|contract| contract.abi.as_ref()) {
        for error in abi.errors() {
            let inputs: Vec<String> =
                error.inputs.iter().map(|input| format!("{} {}", input.selector_type(), input.name)).collect();
            declarations.insert(error.signature(), format!("error {}({})", error.name, inputs.join(", ")));
        }
    }
    declarations.into_values().collect()
}

fn bindings(compiled: &[Compiled]) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    for contract in compiled {
        let name = &contract.name;
        let module = snake_case(name);
        let artifact = json!({
            "abi": contract.abi,
            "bytecode": { "object": format!("0x{}", contract.creation) },
            "deployedBytecode": { "object": format!("0x{}", contract.runtime) },
        });
        writeln!(
            text,
            "pub use self::{module}::{name};\n/// `{name}` ({}) and the structs it speaks in.\npub mod {module} {{\n\
             alloy::sol!(#[sol(rpc, all_derives)] {name}, r####\"{artifact}\"####);\n}}",
            contract.source
        )?;
    }
    Ok(text)
}

fn artifacts(compiled: &[Compiled], version: &str, input_hash: &[u8]) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    writeln!(text, "/// The compiler's full version.\npub const SOLC_VERSION: &str = {version:?};")?;
    writeln!(
        text,
        "/// SHA-256 of [`STANDARD_JSON_INPUT`].\npub const STANDARD_JSON_HASH: &str = \"0x{}\";",
        hex::encode(input_hash)
    )?;
    writeln!(text, "/// Every deployable contract, by name.\npub static ARTIFACTS: &[Artifact] = &[")?;
    for Compiled { name, source, immutables, .. } in compiled {
        writeln!(
            text,
            "Artifact {{ name: {name:?}, source: {source:?}, creation: &crate::bindings::{name}::BYTECODE, \
             runtime: &crate::bindings::{name}::DEPLOYED_BYTECODE, immutables: &{immutables:?}, \
             abi: include_str!(concat!(env!(\"OUT_DIR\"), \"/abi/{name}.json\")) }},"
        )?;
    }
    writeln!(text, "];")?;
    Ok(text)
}

/// `TestUSDC` becomes `test_usdc`, `AlphaPools` becomes `alpha_pools`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let after_lower = index > 0 && !letters[index - 1].is_uppercase();
        let before_lower = letters.get(index + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && index > 0 && (after_lower || before_lower) {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}
